#pragma once

#include "runtime/vm/vm.h"

#include <cstdint>

namespace farlet::vm {

// What a pod may use; 0 is "no limit".
struct PodLimits {
  uint64_t memory_bytes = 0;
  uint64_t milli_cpus = 0;
};

struct HostCapacity {
  uint32_t cpus = 1;
  uint64_t memory_bytes = 0;
};

HostCapacity ThisHost();

// The smallest machine that holds the pod and the guest's own kernel and agent: memory doubles from
// 256 MiB to the first size that holds all of the host's, vCPUs double from 1 to the host's CPUs.
// What is unlimited takes the value of `defaults`. Few sizes on purpose: each has a template, and
// memory that a guest does not touch costs nothing.
MachineSize SizeClassFor(const PodLimits& limits, const PodLimits& defaults, HostCapacity host);

}  // namespace farlet::vm
