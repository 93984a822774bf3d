#include "runtime/shim/machine_size.h"

#include "runtime/vm/size_class.h"

namespace farlet::shim {

vm::MachineSize MachineSizeOf(const PodSpec& pod, const vm::HostConfig& config) {
  constexpr uint64_t kMilliPerCpu = 1000;
  const vm::PodLimits limits{.memory_bytes = pod.memory_limit, .milli_cpus = pod.MilliCpus()};
  const vm::PodLimits defaults{.memory_bytes = config.default_memory_bytes,
                               .milli_cpus = config.default_vcpus * kMilliPerCpu};
  return vm::SizeClassFor(limits, defaults, vm::ThisHost());
}

uint64_t DiskBytesOf(const PodSpec& pod, const vm::HostConfig& config) {
  return pod.ephemeral_bytes > 0 ? pod.ephemeral_bytes : config.ephemeral_storage_bytes;
}

}  // namespace farlet::shim
