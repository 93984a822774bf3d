#pragma once

#include "runtime/base/result.h"
#include "runtime/guest/container_plan.h"

namespace farlet::guest {

// All of these run in the container's first process, in its new mount namespace, before its exec.

// Puts the root together, mounts everything, makes it "/" and leaves nothing of the agent's in
// reach: layers and overlay, mounts, devices, masked and read-only paths.
Status EnterRoot(const ContainerPlan& plan);

// Of what is mounted as /proc in the container.
Status WriteSysctls(const ContainerPlan& plan);

}  // namespace farlet::guest
