#pragma once

#include "runtime/base/fd.h"
#include "runtime/base/result.h"
#include "runtime/shim/cli.h"
#include "runtime/shim/spec/document.h"

#include <sys/types.h>

namespace farlet::shim {

// Makes a spare of the size that `spec` asks for the shim of this sandbox, whose bundle is the
// working directory: its process id. An error when there is none; then nobody has the socket.
Result<pid_t> TakeSpare(const CommandLine& line, const Document& spec, const UniqueFd& listening);

}  // namespace farlet::shim
