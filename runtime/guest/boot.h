#pragma once

#include "runtime/base/fd.h"
#include "runtime/base/result.h"
#include "runtime/guest/layout.h"

#include <sys/types.h>

#include <string>

namespace farlet::guest {

// What PID 1 does before there is anybody to serve.

// File systems, devices, console, modules, limits. An error means that nothing will work.
Status BootGuest(const Layout& layout);

// Loads what /lib/modules/farlet/list names, in its order. A module that fails is logged, and
// missed later by who needs it.
void LoadModules(const std::string& folder);

// Opens the virtio-serial port that the host calls `name`; waits for it up to 10 s, since ports
// appear a moment after their driver. Errors: kNotFound.
Result<UniqueFd> OpenPort(const std::string& name);

// Mounts the file server's tree, which is answered through `port`, and starts the process that
// copies between them. Returns its pid.
Result<pid_t> MountShare(const Layout& layout, UniqueFd port);

// The mount propagation that containers build on: everything is shared but the folder in which they
// build their roots.
Status PrepareMounts(const Layout& layout);

}  // namespace farlet::guest
