#include "provider/node/conditions.h"

#include "runtime/base/time_format.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

namespace farlet::node {
namespace {

struct PressureKind {
  const char* type;
  const char* under_reason;
  const char* under_message;
  const char* free_reason;
  const char* free_message;
  const char* under_event;
  const char* free_event;
};

constexpr std::array<PressureKind, 3> kPressures{{
    {"MemoryPressure", "KubeletHasInsufficientMemory", "kubelet has insufficient memory available",
     "KubeletHasSufficientMemory", "kubelet has sufficient memory available",
     "NodeHasInsufficientMemory", "NodeHasSufficientMemory"},
    {"DiskPressure", "KubeletHasDiskPressure", "kubelet has disk pressure",
     "KubeletHasNoDiskPressure", "kubelet has no disk pressure", "NodeHasDiskPressure",
     "NodeHasNoDiskPressure"},
    {"PIDPressure", "KubeletHasInsufficientPID", "kubelet has insufficient PID available",
     "KubeletHasSufficientPID", "kubelet has sufficient PID available", "NodeHasInsufficientPID",
     "NodeHasSufficientPID"},
}};

Json Condition(const char* type, bool status, const char* reason, const std::string& message) {
  return Json{{"type", type},
              {"status", status ? "True" : "False"},
              {"reason", reason},
              {"message", message}};
}

const Json* FindCondition(const Json& conditions, const Json& type) {
  if (!conditions.is_array()) {
    return nullptr;
  }
  const auto found = std::find_if(conditions.begin(), conditions.end(), [&](const Json& candidate) {
    return candidate.is_object() && candidate.value("type", Json()) == type;
  });
  return found != conditions.end() ? &*found : nullptr;
}

void CheckRuntimeCondition(const RuntimeFacts& runtime,
                           const char* type,
                           const char* what,
                           std::vector<std::string>& reasons) {
  const auto found =
      std::find_if(runtime.conditions.begin(), runtime.conditions.end(),
                   [&](const cri::RuntimeCondition& candidate) { return candidate.type == type; });
  if (found == runtime.conditions.end()) {
    reasons.push_back(fmt::format("{}: {} was not reported", what, type));
  } else if (!found->status) {
    reasons.push_back(fmt::format("{}: {}=false reason:{} message:{}", what, type, found->reason,
                                  found->message));
  }
}

}  // namespace

std::vector<std::string> NotReadyReasons(const RuntimeFacts& runtime,
                                         const ResourceList& capacity,
                                         SteadyTime now) {
  std::vector<std::string> reasons;
  if (!runtime.last_good) {
    reasons.emplace_back("container runtime status check may not have completed yet");
  } else {
    if (!runtime.reachable && now - *runtime.last_good >= kRuntimeDownAfter) {
      reasons.emplace_back("container runtime is down");
    }
    CheckRuntimeCondition(runtime, "RuntimeReady", "container runtime not ready", reasons);
    CheckRuntimeCondition(runtime, "NetworkReady", "container runtime network not ready", reasons);
  }
  std::vector<std::string> missing;
  for (const char* resource : {"cpu", "memory", "pods", "ephemeral-storage"}) {
    if (!capacity.contains(resource)) {
      missing.emplace_back(resource);
    }
  }
  if (!missing.empty()) {
    reasons.push_back(
        fmt::format("missing node capacity for resources: {}", fmt::join(missing, ", ")));
  }
  return reasons;
}

Json ComputeConditions(const Pressure& pressure, const std::vector<std::string>& not_ready) {
  const std::array<bool, kPressures.size()> under{pressure.memory, pressure.disk, pressure.pid};
  Json conditions = Json::array();
  for (size_t i = 0; i < kPressures.size(); ++i) {
    const PressureKind& kind = kPressures.at(i);
    conditions.push_back(Condition(kind.type, under.at(i),
                                   under.at(i) ? kind.under_reason : kind.free_reason,
                                   under.at(i) ? kind.under_message : kind.free_message));
  }
  if (not_ready.empty()) {
    conditions.push_back(
        Condition("Ready", true, "KubeletReady", "kubelet is posting ready status"));
  } else {
    // As Go's aggregate of errors prints itself.
    const std::string message =
        not_ready.size() == 1 ? not_ready.front() : fmt::format("[{}]", fmt::join(not_ready, ", "));
    conditions.push_back(Condition("Ready", false, "KubeletNotReady", message));
  }
  return conditions;
}

Json StampConditions(const Json& before, const Json& computed, WallTime now) {
  const std::string stamp = FormatRfc3339(now);
  Json result = Json::array();
  if (before.is_array()) {
    for (const Json& known : before) {
      if (known.is_object() && FindCondition(computed, known.value("type", Json())) == nullptr) {
        result.push_back(known);
      }
    }
  }
  for (Json condition : computed) {
    const Json* known = FindCondition(before, condition["type"]);
    const bool same = known != nullptr && known->value("status", Json()) == condition["status"] &&
                      known->contains("lastTransitionTime");
    condition["lastHeartbeatTime"] = stamp;
    condition["lastTransitionTime"] = same ? (*known)["lastTransitionTime"] : Json(stamp);
    result.push_back(std::move(condition));
  }
  return result;
}

std::vector<std::string> ConditionEvents(const Json& before, const Json& after) {
  std::vector<std::string> events;
  const auto status_of = [](const Json* condition) {
    return condition != nullptr ? condition->value("status", "") : std::string();
  };
  for (const PressureKind& kind : kPressures) {
    const std::string now = status_of(FindCondition(after, kind.type));
    if (!now.empty() && now != status_of(FindCondition(before, kind.type))) {
      events.emplace_back(now == "True" ? kind.under_event : kind.free_event);
    }
  }
  // A new node that is not ready yet has nothing to say about it.
  const std::string ready = status_of(FindCondition(after, "Ready"));
  const std::string was_ready = status_of(FindCondition(before, "Ready"));
  if (ready != was_ready && (ready == "True" || !was_ready.empty())) {
    events.emplace_back(ready == "True" ? "NodeReady" : "NodeNotReady");
  }
  return events;
}

}  // namespace farlet::node
