#pragma once

#include "runtime/base/result.h"

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

namespace farlet::shim {

// A descriptor of ours, and its number in the new process.
struct Inherited {
  int from = -1;
  int to = -1;
};

// Starts this executable again, in a session of its own, with these arguments and our environment.
// The descriptors are copied in their order; others that are close-on-exec stay behind. The caller
// waits for the process. An error begins with `what`: "start the shim".
Result<pid_t> SpawnSelf(std::vector<std::string> arguments,
                        const std::vector<Inherited>& descriptors,
                        std::string_view what);

}  // namespace farlet::shim
