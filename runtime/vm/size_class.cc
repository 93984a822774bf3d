#include "runtime/vm/size_class.h"

#include <sys/sysinfo.h>
#include <unistd.h>

#include <algorithm>

namespace farlet::vm {
namespace {

constexpr uint64_t kMiB = 1ull << 20;
constexpr uint64_t kSmallestMib = 256;
constexpr uint64_t kLargestMib = 1ull << 20;
constexpr uint64_t kMostVcpus = 64;

// Kernel, agent and page tables: 48 MiB in any guest, and the kernel's page structures and reserves
// grow with the memory (64 bytes a 4 KiB page, and as much again for slack).
uint64_t WithGuestOverhead(uint64_t memory_mib) {
  return memory_mib + 48 + memory_mib / 32;
}

uint64_t DoubleUntil(uint64_t smallest, uint64_t wanted) {
  uint64_t value = smallest;
  while (value < wanted) {
    value *= 2;
  }
  return value;
}

uint64_t RoundUp(uint64_t value, uint64_t unit) {
  return value / unit + (value % unit != 0 ? 1 : 0);
}

}  // namespace

HostCapacity ThisHost() {
  struct sysinfo info {};

  ::sysinfo(&info);
  return {.cpus = static_cast<uint32_t>(std::max(::sysconf(_SC_NPROCESSORS_ONLN), 1L)),
          .memory_bytes = static_cast<uint64_t>(info.totalram) * info.mem_unit};
}

MachineSize SizeClassFor(const PodLimits& limits, const PodLimits& defaults, HostCapacity host) {
  const uint64_t bytes = limits.memory_bytes != 0 ? limits.memory_bytes : defaults.memory_bytes;
  const uint64_t milli = limits.milli_cpus != 0 ? limits.milli_cpus : defaults.milli_cpus;
  // Capped before anything is added or doubled: limits may be as large as 64 bits.
  const uint64_t most_mib = std::clamp(RoundUp(host.memory_bytes, kMiB), kSmallestMib, kLargestMib);
  const uint64_t mib = std::min(RoundUp(bytes, kMiB), most_mib);
  const uint64_t most_vcpus = std::clamp<uint64_t>(host.cpus, 1, kMostVcpus);
  const uint64_t vcpus = std::min(RoundUp(milli, 1000), most_vcpus);
  return {
      .vcpus = static_cast<uint32_t>(std::min(DoubleUntil(1, vcpus), most_vcpus)),
      .memory_mib = static_cast<uint32_t>(std::min(
          DoubleUntil(kSmallestMib, WithGuestOverhead(mib)), DoubleUntil(kSmallestMib, most_mib)))};
}

}  // namespace farlet::vm
