#pragma once

#include "runtime/base/result.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace farlet {

// Annotation of a pod, which has no field for it: the resource limits of its containers' processes,
// as `docker run --ulimit` takes them and an ECS task definition's `ulimits` has them. The shim of
// our runtime sets them.
inline constexpr std::string_view kUlimitsAnnotation = "farlet.dev/ulimits";

inline constexpr uint64_t kUnlimited = UINT64_MAX;  // RLIM64_INFINITY

struct Ulimit {
  std::string name;  // "nofile"
  uint64_t soft = 0;
  uint64_t hard = 0;

  bool operator==(const Ulimit&) const = default;
};

// "nofile=65535:1048576,memlock=unlimited": soft and hard limit, or one that is both. Names are
// those of ECS (API reference, Ulimit), each at most once. kInvalidArgument names the item.
Result<std::vector<Ulimit>> ParseUlimits(std::string_view text);

}  // namespace farlet
