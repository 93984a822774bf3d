#include "kube/api/pod.h"

#include <array>

namespace farlet::kube {
namespace {

constexpr std::array<const char*, 2> kQosResources{"cpu", "memory"};

Quantity Get(const ResourceList& list, const char* name) {
  const auto found = list.find(name);
  return found == list.end() ? Quantity() : found->second;
}

}  // namespace

// BestEffort: no request or limit of cpu or memory anywhere. Guaranteed: every container has
// limits of both, and its requests (which default to the limits) equal them.
QosClass ComputeQosClass(const PodSpec& spec) {
  bool any = false;
  bool guaranteed = true;
  const auto look = [&](const Container& container) {
    for (const char* name : kQosResources) {
      const ResourceRequirements& resources = container.resources;
      const Quantity limit = Get(resources.limits, name);
      // The API server has put a missing request to the limit already.
      const Quantity request =
          resources.requests.contains(name) ? Get(resources.requests, name) : limit;
      any = any || !limit.is_zero() || !request.is_zero();
      guaranteed = guaranteed && !limit.is_zero() && request == limit;
    }
  };
  for (const Container& container : spec.containers) {
    look(container);
  }
  for (const Container& container : spec.init_containers) {
    look(container);
  }
  if (!any) {
    return QosClass::kBestEffort;
  }
  return guaranteed ? QosClass::kGuaranteed : QosClass::kBurstable;
}

std::string_view QosClassName(QosClass qos) {
  switch (qos) {
    case QosClass::kGuaranteed:
      return "Guaranteed";
    case QosClass::kBurstable:
      return "Burstable";
    case QosClass::kBestEffort:
      return "BestEffort";
  }
  return "BestEffort";
}

}  // namespace farlet::kube
