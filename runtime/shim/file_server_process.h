#pragma once

#include "runtime/base/fd.h"
#include "runtime/base/result.h"

#include <sys/types.h>

namespace farlet::shim {

// Starts this executable as the pod's file server (`fileserver`), a child that dies with the thread
// that calls: one that lives as long as the process. It serves `channel` from `mount_namespace`.
Result<pid_t> SpawnFileServer(UniqueFd channel, int mount_namespace);

// SIGKILL to that child, and waits for its end.
void EndFileServer(pid_t pid);

// What that child does. Returns when the guest's side closes.
Status RunFileServerCommand();

}  // namespace farlet::shim
