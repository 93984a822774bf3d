#pragma once

#include "runtime/base/result.h"
#include "runtime/vm/host_config.h"
#include "runtime/vm/vm.h"

#include <filesystem>
#include <string>
#include <vector>

// Where spares wait. Each listens on a socket whose name says what machine it is, in a folder whose
// name says all else that must be as when it was made.
namespace farlet::shim {

// <runDir>/pool/<hash>: of the configuration, the programs and boot files it names, this
// executable, the containerd and the namespaces of this process. Whoever comes with other ones
// looks elsewhere, and a spare that would not be found any more ends (see spare_command.h). Error:
// something of it is missing.
Result<std::filesystem::path> PoolFolder(const std::filesystem::path& config_path,
                                         const std::string& containerd_address);

struct WaitingSpare {
  std::filesystem::path socket;
  vm::MachineSize size;
};

std::filesystem::path SpareSocket(const std::filesystem::path& folder,
                                  vm::MachineSize size,
                                  pid_t pid);

// The spares in the folder, the one that waits longest first; also those that are being made, or
// that somebody has taken just now.
std::vector<WaitingSpare> SparesIn(const std::filesystem::path& folder);

// Those of them that listen. What others left that were killed is removed.
std::vector<WaitingSpare> LivingSparesIn(const std::filesystem::path& folder);

}  // namespace farlet::shim
