#include "provider/fargate/sizing.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <vector>

namespace farlet::fargate {
namespace {

// One row of AWS's table (EKS user guide, "Pod CPU and memory"); memory in MiB.
struct Row {
  int64_t milli_cpu;
  int64_t first;
  int64_t last;
  int64_t step;
};

constexpr int64_t kGiInMi = 1024;

constexpr std::array kRows{
    Row{250, 512, 512, 512},
    Row{250, 1 * kGiInMi, 2 * kGiInMi, 1 * kGiInMi},
    Row{500, 1 * kGiInMi, 4 * kGiInMi, 1 * kGiInMi},
    Row{1000, 2 * kGiInMi, 8 * kGiInMi, 1 * kGiInMi},
    Row{2000, 4 * kGiInMi, 16 * kGiInMi, 1 * kGiInMi},
    Row{4000, 8 * kGiInMi, 30 * kGiInMi, 1 * kGiInMi},
    Row{8000, 16 * kGiInMi, 60 * kGiInMi, 4 * kGiInMi},
    Row{16000, 32 * kGiInMi, 120 * kGiInMi, 8 * kGiInMi},
};

std::vector<Configuration> MakeConfigurations() {
  std::vector<Configuration> all;
  for (const Row& row : kRows) {
    for (int64_t memory = row.first; memory <= row.last; memory += row.step) {
      all.push_back({.cpu = {row.milli_cpu}, .memory = {memory * kMi}});
    }
  }
  return all;
}

// Saturating: what is larger than everything stays so.
int64_t Add(int64_t a, int64_t b) {
  int64_t sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? std::numeric_limits<int64_t>::max() : sum;
}

// Thousandths of one resource.
int64_t Milli(const Amounts& amounts, const char* resource) {
  const auto found = amounts.find(resource);
  return found == amounts.end() ? 0 : std::max<int64_t>(found->second.milli(), 0);
}

// Rounded up.
int64_t Whole(int64_t milli) {
  return milli / 1000 + (milli % 1000 > 0 ? 1 : 0);
}

// The most that a pod's containers ask for at one time, by what `amount` says of each.
template <class Amount>
int64_t Aggregate(const PodFacts& pod, Amount amount) {
  int64_t sidecars = 0;
  int64_t starting = 0;
  int64_t running = 0;
  for (const ContainerFacts& container : pod.containers) {
    const int64_t one = amount(container);
    if (!container.init) {
      running = Add(running, one);
    } else if (container.sidecar) {
      sidecars = Add(sidecars, one);
      starting = std::max(starting, sidecars);
    } else {
      starting = std::max(starting, Add(sidecars, one));
    }
  }
  return std::max(starting, Add(running, sidecars));
}

int64_t Requested(const PodFacts& pod, const char* resource) {
  if (pod.requests.contains(resource)) {
    return Milli(pod.requests, resource);
  }
  return Aggregate(
      pod, [&](const ContainerFacts& container) { return Milli(container.requests, resource); });
}

// Containers without a limit count with their request.
int64_t Limited(const PodFacts& pod, const char* resource) {
  return Aggregate(pod, [&](const ContainerFacts& container) {
    return std::max(Milli(container.limits, resource), Milli(container.requests, resource));
  });
}

// `wanted`, as far as the largest configuration has it, and not less than `least`.
int64_t Between(int64_t least, int64_t wanted, int64_t most) {
  return std::max(least, std::min(wanted, most));
}

// 250 → "0.25", 1000 → "1".
std::string Decimal(int64_t thousandths) {
  std::string text = fmt::format("{}.{:03}", thousandths / 1000, thousandths % 1000);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') {
    text.pop_back();
  }
  return text;
}

}  // namespace

std::span<const Configuration> Configurations() {
  static const std::vector<Configuration> kAll = MakeConfigurations();
  return kAll;
}

std::string CapacityText(const Configuration& configuration) {
  return fmt::format("{}vCPU {}GB", Decimal(configuration.cpu.value),
                     Decimal(configuration.memory.value * 1000 / kGi));
}

Result<Configuration> ParseCapacity(std::string_view text) {
  for (const Configuration& configuration : Configurations()) {
    if (CapacityText(configuration) == text) {
      return configuration;
    }
  }
  return InvalidArgument(fmt::format("\"{}\" is no Fargate configuration (like \"0.25vCPU 0.5GB\")",
                                     text.substr(0, 64)));
}

Need ComputeNeed(const PodFacts& pod) {
  return {.cpu = {Requested(pod, "cpu")},
          .memory = {Whole(Requested(pod, "memory"))},
          .storage = {Whole(Requested(pod, "ephemeral-storage"))}};
}

std::optional<Configuration> SmallestWith(MilliCpu cpu, Bytes memory) {
  const auto all = Configurations();
  const auto found = std::find_if(all.begin(), all.end(), [&](const Configuration& configuration) {
    return configuration.cpu >= cpu && configuration.memory >= memory;
  });
  return found == all.end() ? std::nullopt : std::optional(*found);
}

Result<PodSize> SizePod(const PodFacts& pod) {
  const Need need = ComputeNeed(pod);
  const auto provisioned = SmallestWith(need.cpu, {Add(need.memory.value, kOverhead.value)});
  if (!provisioned) {
    return MakeError(Code::kOutOfRange, std::string(kTooLarge));
  }
  if (need.storage > kMaxStorage) {
    return MakeError(Code::kOutOfRange,
                     fmt::format("ephemeral-storage: {} GiB requested, at most {} GiB are possible",
                                 need.storage.value / kGi + (need.storage.value % kGi > 0 ? 1 : 0),
                                 kMaxStorage.value / kGi));
  }
  PodSize size;
  size.provisioned = *provisioned;
  const Configuration largest = Configurations().back();
  size.machine.cpu = {Between(provisioned->cpu.value, Limited(pod, "cpu"), largest.cpu.value)};
  size.machine.memory = {Between(provisioned->memory.value,
                                 Add(Whole(Limited(pod, "memory")), kOverhead.value),
                                 largest.memory.value)};
  const Bytes storage = std::max(need.storage, kDefaultStorage);
  size.storage = {(storage.value / kGi + (storage.value % kGi > 0 ? 1 : 0)) * kGi};
  return size;
}

}  // namespace farlet::fargate
