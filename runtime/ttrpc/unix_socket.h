#pragma once

#include "runtime/base/fd.h"
#include "runtime/base/result.h"

#include <sys/types.h>

#include <string>

namespace farlet::ttrpc {

// Does not wait: kUnavailable (retryable) when the listener's queue is full or nobody listens.
// Errors: kInvalidArgument for a path that does not fit (107 bytes), kNotFound; they name the path.
Result<UniqueFd> ConnectUnix(const std::string& path);

// Binds and listens. The socket has exactly `mode` from its first moment on. Nothing is replaced:
// kUnavailable when the path exists.
Result<UniqueFd> ListenUnix(const std::string& path, mode_t mode);

}  // namespace farlet::ttrpc
