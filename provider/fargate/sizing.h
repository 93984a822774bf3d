#pragma once

#include "provider/fargate/pod_facts.h"
#include "runtime/base/result.h"

#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

// How large a pod is. All functions are pure.
namespace farlet::fargate {

struct MilliCpu {
  int64_t value = 0;
  auto operator<=>(const MilliCpu&) const = default;
};

struct Bytes {
  int64_t value = 0;
  auto operator<=>(const Bytes&) const = default;
};

inline constexpr int64_t kMi = int64_t{1} << 20;
inline constexpr int64_t kGi = int64_t{1} << 30;

// What a pod may be provisioned with. AWS's GB are GiB.
struct Configuration {
  MilliCpu cpu;
  Bytes memory;
  auto operator<=>(const Configuration&) const = default;
};

// All 74, by CPU and then memory.
std::span<const Configuration> Configurations();

// "0.25vCPU 0.5GB", the value of kCapacityAnnotation.
std::string CapacityText(const Configuration& configuration);
// Only for the 74. kInvalidArgument.
Result<Configuration> ParseCapacity(std::string_view text);

// The 256 MB that AWS adds to what a pod requests, for what runs beside it in its machine.
inline constexpr Bytes kOverhead{256 * kMi};

// Ephemeral storage of a pod that requests none or less, and the most that one may request.
inline constexpr Bytes kDefaultStorage{20 * kGi};
inline constexpr Bytes kMaxStorage{175 * kGi};

// What a pod's containers need at the same time at most: the regular ones and the sidecars
// together, or an init container with the sidecars before it.
struct Need {
  MilliCpu cpu;
  Bytes memory;  // without kOverhead
  Bytes storage;
};

Need ComputeNeed(const PodFacts& pod);

// The smallest configuration with at least this much: the one with the fewest CPUs, and of those
// with the least memory. Nothing: there is none.
std::optional<Configuration> SmallestWith(MilliCpu cpu, Bytes memory);

struct PodSize {
  // What the pod is counted, shown and billed as: by its requests.
  Configuration provisioned;
  // Its virtual machine. Where limits are higher than that, the machine is as large as they are, as
  // far as the largest configuration goes, so that requests ≠ limits works as on any other node.
  Configuration machine;
  Bytes storage;  // whole GiB
};

// kOutOfRange with AWS's message when no configuration is large enough, or with one that names
// ephemeral-storage.
Result<PodSize> SizePod(const PodFacts& pod);

// What SizePod says of a pod that is too large, and the reason that goes with it.
inline constexpr std::string_view kTooLarge =
    "Your pod's cpu/memory requirements exceed the max Fargate configuration";
inline constexpr std::string_view kTooLargeReason = "POD_CPU_MEM_EXCEEDS_MAX_FARGATE_SIZE";

}  // namespace farlet::fargate
