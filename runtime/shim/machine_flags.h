#pragma once

#include "runtime/base/result.h"
#include "runtime/shim/cli.h"
#include "runtime/vm/host_config.h"
#include "runtime/vm/vm.h"

#include <cstdint>
#include <string>
#include <vector>

// The machine that a command is about.
namespace farlet::shim {

std::vector<std::string> SizeFlags(vm::MachineSize size);

// kInvalidArgument names the flag; what is not given is that of a pod without limits.
Result<vm::MachineSize> SizeFromFlags(const CommandLine& line, const vm::HostConfig& config);
Result<uint64_t> DiskBytesFromFlags(const CommandLine& line, const vm::HostConfig& config);

}  // namespace farlet::shim
