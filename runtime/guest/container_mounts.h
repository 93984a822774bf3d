#pragma once

#include "runtime/base/fd.h"
#include "runtime/base/result.h"
#include "runtime/guest/container_plan.h"

#include <string>
#include <vector>

namespace farlet::guest {

// Steps of EnterRoot.

// A detached copy of each bind mount's origin, in the order of plan.mounts; invalid for the
// others. Runs before the agent's tree goes out of reach.
Result<std::vector<UniqueFd>> OpenSources(const ContainerPlan& plan);

// These run with "/" being the container's: whatever symlinks an image has lead nowhere else.
Status MountAll(const ContainerPlan& plan, const std::vector<UniqueFd>& sources);
// Device files and the links of /dev that every container has.
Status MakeDevices(const ContainerPlan& plan);
// Masked and read-only paths; those that are missing are passed over.
Status HidePaths(const ContainerPlan& plan);
Status MakeReadOnly(const std::string& mount_point);

}  // namespace farlet::guest
