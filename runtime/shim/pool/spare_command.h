#pragma once

#include "runtime/base/fd.h"
#include "runtime/base/result.h"
#include "runtime/shim/cli.h"
#include "runtime/vm/vm.h"

namespace farlet::shim {

// Starts this executable as a spare (`spare`) for the containerd at `containerd_address`, and waits
// until it listens in PoolFolder. An error is the spare's own.
Status MakeSpare(vm::MachineSize size, const std::string& containerd_address);

// What that process does:
//
//   machine made ─▶ rehearsed ─▶ stopped, listening ── handed over ──▶ serves the pod as its shim
//                                       │
//                                       └─ told to end, its machine gone, or PoolFolder another ─▶
//                                       ends
//
// A stopped machine costs memory but no CPU.
Status RunSpare(const CommandLine& line);

}  // namespace farlet::shim
