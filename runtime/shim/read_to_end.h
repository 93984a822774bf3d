#pragma once

#include "runtime/base/result.h"

#include <cstddef>
#include <string>
#include <string_view>

namespace farlet::shim {

// What comes out of a blocking descriptor until its end. kInvalidArgument when it is more than
// `max_bytes`; an error begins with `what`: "the standard input".
Result<std::string> ReadToEnd(int fd, size_t max_bytes, std::string_view what);

}  // namespace farlet::shim
