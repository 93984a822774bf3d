#pragma once

#include "runtime/base/fd.h"
#include "runtime/base/result.h"
#include "runtime/shim/cli.h"

#include <memory>

namespace farlet::shim {

// The listening socket that `start` hands over.
inline constexpr int kListenFd = 3;

// The shim itself, in the bundle of its pod's sandbox: starts the VM, serves containerd, and
// returns when containerd is done with it and everything is removed.
Status RunServe(const CommandLine& line);

class VmMachine;

// The same in a process that is there already: with the listening socket, in the bundle, and
// perhaps with a machine that waited for a pod.
Status Serve(const CommandLine& line, UniqueFd listening, std::shared_ptr<VmMachine> spare);

}  // namespace farlet::shim
