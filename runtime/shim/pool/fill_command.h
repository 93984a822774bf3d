#pragma once

#include "runtime/base/result.h"
#include "runtime/shim/cli.h"
#include "runtime/vm/vm.h"

#include <string>

namespace farlet::shim {

// Starts this executable as the one that fills the pool (`pool`), in the background.
Status SpawnPoolFiller(vm::MachineSize size, const std::string& containerd_address);

// What that process does: makes spares of a size, one after the other, until there are as many
// spares as the configuration says; when there are enough but none of this size, one of another
// size goes for it. Also for whoever wants to have them before the first pod.
Status RunPoolFiller(const CommandLine& line);

}  // namespace farlet::shim
