#pragma once

#include "runtime/base/result.h"
#include "runtime/shim/cli.h"

namespace farlet::shim {

// The listening socket that `start` hands over.
inline constexpr int kListenFd = 3;

// The shim itself, in the bundle of its pod's sandbox: starts the VM, serves containerd, and
// returns when containerd is done with it and everything is removed.
Status RunServe(const CommandLine& line);

}  // namespace farlet::shim
