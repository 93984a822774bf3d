#pragma once

#include "provider/server/request.h"
#include "runtime/base/clock.h"

#include <cstdint>
#include <optional>

namespace farlet::server {

// v1.PodLogOptions.
struct LogOptions {
  bool follow = false;
  bool previous = false;
  bool timestamps = false;
  bool want_stdout = true;
  bool want_stderr = true;
  std::optional<WallTime> since;  // from sinceSeconds or sinceTime
  std::optional<int64_t> tail_lines;
  std::optional<int64_t> limit_bytes;
};

// From the query of /containerLogs. Error: kInvalidArgument naming the parameter, with HTTP status
// 400 for what cannot be decoded and 422 for what is not allowed. Unknown parameters are ignored.
Result<LogOptions> ParseLogOptions(const Request& request, WallTime now);

}  // namespace farlet::server
