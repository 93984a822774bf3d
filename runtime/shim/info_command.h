#pragma once

#include "runtime/base/result.h"

#include <string>

namespace farlet::shim {

// `-v`, for people.
std::string VersionText();

// `-info` (containerd 2): a serialized RuntimeInfo.
Result<std::string> RunInfo();

}  // namespace farlet::shim
