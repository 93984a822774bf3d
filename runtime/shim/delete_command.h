#pragma once

#include "runtime/base/result.h"
#include "runtime/shim/cli.h"

#include <string>

namespace farlet::shim {

// `delete`: a serialized DeleteResponse for standard output. containerd runs it after every task,
// and when it cannot reach a shim. While the shim lives nothing of the pod is touched; when it does
// not, all that it left is removed if `id` is the pod's own. Idempotent, also for what never was.
Result<std::string> RunDelete(const CommandLine& line);

}  // namespace farlet::shim
