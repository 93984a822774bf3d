#pragma once

#include "runtime/shim/spec/pod_spec.h"
#include "runtime/vm/host_config.h"
#include "runtime/vm/vm.h"

#include <cstdint>

namespace farlet::shim {

// The machine that a pod gets on this host.
vm::MachineSize MachineSizeOf(const PodSpec& pod, const vm::HostConfig& config);

// Of its writable disk.
uint64_t DiskBytesOf(const PodSpec& pod, const vm::HostConfig& config);

}  // namespace farlet::shim
