#pragma once

#include "runtime/base/fd.h"
#include "runtime/base/result.h"
#include "runtime/guest/layout.h"

#include <string>

namespace farlet::guest {

// Serves the agent until Shutdown. In a VM it does not return.
Status ServePort(const Layout& layout, UniqueFd port, pid_t file_relay);
Status ServeSocket(const Layout& layout, UniqueFd listener);

// Runs the agent outside a VM, as root, in namespaces of its own (mounts, network, hostname, IPC,
// processes) and with everything it keeps below `root`. The share is the folder "share" there. At
// the end, also by SIGTERM, everything it made is gone but files in `root`.
Status RunOutsideVm(const std::string& socket, const std::string& root);

}  // namespace farlet::guest
