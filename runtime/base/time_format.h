#pragma once

#include "runtime/base/clock.h"
#include "runtime/base/result.h"

#include <string>
#include <string_view>

namespace farlet {

// RFC 3339 in UTC, as Kubernetes writes it: metav1.Time has seconds, MicroTime six digits, and CRI
// logs up to nine.
std::string FormatRfc3339(WallTime time);
std::string FormatRfc3339Micro(WallTime time);
std::string FormatRfc3339Nano(WallTime time);

// Accepts 0 to 9 fraction digits and any numeric offset. Error: kInvalidArgument.
Result<WallTime> ParseRfc3339(std::string_view text);

// Go's time.Duration notation: "1.5s", "10s", "1m30s", "350ms".
std::string FormatGoDuration(std::chrono::nanoseconds duration);

}  // namespace farlet
