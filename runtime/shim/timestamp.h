#pragma once

#include "proto/containerd/types/wellknown.pb.h"
#include "runtime/base/clock.h"

namespace farlet::shim {

inline wkt::Timestamp ToTimestamp(WallTime time) {
  constexpr int64_t kNanosPerSecond = 1000000000;
  const int64_t nanos =
      std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
  wkt::Timestamp stamp;
  stamp.set_seconds(nanos / kNanosPerSecond);
  stamp.set_nanos(static_cast<int32_t>(nanos % kNanosPerSecond));
  return stamp;
}

}  // namespace farlet::shim
