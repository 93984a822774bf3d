#pragma once

#include "runtime/base/result.h"
#include "runtime/shim/cli.h"
#include "runtime/shim/spawn.h"

#include <string>
#include <string_view>
#include <vector>

// Processes that this executable starts for the host's sake: they belong to no pod, and neither the
// end of the shim nor a pod's limits reach them.
namespace farlet::shim {

// Starts one with `-background` among its arguments; returns when it is in the background.
Status SpawnInBackground(std::vector<std::string> arguments,
                         const std::vector<Inherited>& descriptors,
                         std::string_view what);

// The first thing that such a process does.
void LeavePod(const CommandLine& line);

}  // namespace farlet::shim
