#include "provider/pod/resources.h"

#include "provider/pod/container_status.h"

#include <algorithm>
#include <limits>
#include <optional>

namespace farlet::pod {
namespace {

constexpr int64_t kCpuPeriod = 100'000;
constexpr int64_t kMinQuota = 1000;
constexpr int64_t kMinShares = 2;
constexpr int64_t kMaxShares = 262'144;
constexpr int64_t kGuaranteedOomScore = -997;
constexpr int64_t kBestEffortOomScore = 1000;

kube::Quantity Get(const kube::ResourceList& list, const char* name) {
  const auto found = list.find(name);
  return found == list.end() ? kube::Quantity() : found->second;
}

kube::Quantity Sum(kube::Quantity a, kube::Quantity b) {
  int64_t sum = 0;
  if (__builtin_add_overflow(a.milli(), b.milli(), &sum)) {
    sum = std::numeric_limits<int64_t>::max();
  }
  return kube::Quantity::FromMilli(sum);
}

void Add(kube::ResourceList& list, const kube::ResourceList& more) {
  for (const auto& [name, quantity] : more) {
    list[name] = Sum(list[name], quantity);
  }
}

void Raise(kube::ResourceList& list, const kube::ResourceList& least) {
  for (const auto& [name, quantity] : least) {
    list[name] = std::max(list[name], quantity);
  }
}

kube::ResourceList Aggregate(const kube::PodSpec& spec,
                             kube::ResourceList kube::ResourceRequirements::*member) {
  kube::ResourceList total;
  for (const kube::Container& container : spec.containers) {
    Add(total, container.resources.*member);
  }
  kube::ResourceList sidecars;
  kube::ResourceList start;
  for (const kube::Container& container : spec.init_containers) {
    if (IsSidecar(container)) {
      Add(total, container.resources.*member);
      Add(sidecars, container.resources.*member);
      Raise(start, sidecars);
    } else {
      kube::ResourceList together = sidecars;
      Add(together, container.resources.*member);
      Raise(start, together);
    }
  }
  Raise(total, start);
  return total;
}

int64_t Shares(int64_t milli) {
  // Beyond this many cores the largest value is reached anyway.
  constexpr int64_t kMaxMilli = kMaxShares * 1000;
  return std::clamp(std::min(milli, kMaxMilli) * 1024 / 1000, kMinShares, kMaxShares);
}

int64_t Quota(int64_t milli) {
  constexpr int64_t kMaxMilli = std::numeric_limits<int64_t>::max() / kCpuPeriod;
  return milli == 0 ? 0 : std::max(std::min(milli, kMaxMilli) * kCpuPeriod / 1000, kMinQuota);
}

cri::LinuxResources MakeResources(const kube::ResourceList& requests,
                                  const kube::ResourceList& limits) {
  const kube::Quantity cpu_limit = Get(limits, "cpu");
  const kube::Quantity cpu_request = requests.contains("cpu") ? Get(requests, "cpu") : cpu_limit;
  return {.cpu_period = kCpuPeriod,
          .cpu_quota = Quota(cpu_limit.milli()),
          .cpu_shares = Shares(cpu_request.milli()),
          .memory_limit_bytes = Get(limits, "memory").value()};
}

int64_t SmallestRegularMemory(const kube::PodSpec& spec) {
  int64_t smallest = std::numeric_limits<int64_t>::max();
  for (const kube::Container& container : spec.containers) {
    smallest = std::min(smallest, Get(container.resources.requests, "memory").value());
  }
  return smallest;
}

int64_t OomScore(const kube::Pod& pod, const kube::Container& container, const NodeContext& node) {
  const kube::QosClass qos = kube::ComputeQosClass(pod.spec);
  if (pod.spec.priority_class_name == "system-node-critical" ||
      qos == kube::QosClass::kGuaranteed) {
    return kGuaranteedOomScore;
  }
  const int64_t capacity = Get(node.capacity, "memory").value();
  if (qos == kube::QosClass::kBestEffort) {
    return kBestEffortOomScore;
  }
  const auto score = [&](int64_t memory) -> int64_t {
    return capacity <= 0 ? kBestEffortOomScore
                         : 1000 - static_cast<int64_t>(static_cast<long double>(memory) * 1000 /
                                                       static_cast<long double>(capacity));
  };
  int64_t adjustment = score(Get(container.resources.requests, "memory").value());
  if (IsSidecar(container)) {
    // A sidecar is not to die before the containers that it serves.
    adjustment = std::min(adjustment, score(SmallestRegularMemory(pod.spec)));
  }
  return std::clamp(adjustment, 1000 + kGuaranteedOomScore, kBestEffortOomScore - 1);
}

}  // namespace

kube::ResourceList PodRequests(const kube::PodSpec& spec) {
  return Aggregate(spec, &kube::ResourceRequirements::requests);
}

kube::ResourceList PodLimits(const kube::PodSpec& spec) {
  return Aggregate(spec, &kube::ResourceRequirements::limits);
}

kube::ResourceList PodReservation(const kube::PodSpec& spec) {
  kube::ResourceList reservation = PodRequests(spec);
  Add(reservation, spec.overhead);
  return reservation;
}

cri::LinuxResources ContainerResources(const kube::Pod& pod,
                                       const kube::Container& container,
                                       const NodeContext& node) {
  cri::LinuxResources resources =
      MakeResources(container.resources.requests, container.resources.limits);
  resources.oom_score_adj = OomScore(pod, container, node);
  if (node.unified_cgroups) {
    // Out of memory, the kernel kills the container as a whole.
    resources.unified["memory.oom.group"] = "1";
  }
  return resources;
}

cri::LinuxResources SandboxResources(const kube::PodSpec& spec, const MachineSize& machine) {
  cri::LinuxResources resources = MakeResources(PodRequests(spec), PodLimits(spec));
  if (machine.milli_cpus > 0) {
    resources.cpu_quota = Quota(machine.milli_cpus);
  }
  if (machine.memory_bytes > 0) {
    resources.memory_limit_bytes = machine.memory_bytes;
  }
  return resources;
}

cri::LinuxResources OverheadResources(const kube::PodSpec& spec) {
  if (spec.overhead.empty()) {
    return {};
  }
  return MakeResources(spec.overhead, spec.overhead);
}

}  // namespace farlet::pod
