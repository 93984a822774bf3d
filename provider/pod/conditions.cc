#include "provider/pod/conditions.h"

#include "provider/pod/container_status.h"
#include "runtime/base/time_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>

namespace farlet::pod {
namespace {

constexpr std::array<std::string_view, 5> kOwnTypes{"PodReadyToStartContainers", "Initialized",
                                                    "Ready", "ContainersReady", "PodScheduled"};

struct Verdict {
  bool holds = true;
  std::string reason;
  std::string message;
};

const Json* FindCondition(const Json& conditions, std::string_view type) {
  if (!conditions.is_array()) {
    return nullptr;
  }
  const auto found = std::find_if(conditions.begin(), conditions.end(), [&](const Json& condition) {
    return TextOf(condition, "type") == type;
  });
  return found == conditions.end() ? nullptr : &*found;
}

// Go's %s of a []string.
std::string BracketList(const std::vector<std::string>& names) {
  return fmt::format("[{}]", fmt::join(names, " "));
}

std::string DescribeNames(const std::vector<std::string>& unknown,
                          const std::vector<std::string>& lacking,
                          std::string_view lack) {
  std::vector<std::string> parts;
  if (!unknown.empty()) {
    parts.push_back("containers with unknown status: " + BracketList(unknown));
  }
  if (!lacking.empty()) {
    parts.push_back(fmt::format("containers with {} status: {}", lack, BracketList(lacking)));
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

bool Flag(const Json& status, const char* key) {
  const Json* value = Member(status, key);
  return value != nullptr && *value == true;
}

Verdict SandboxReady(const StatusInput& in) {
  const auto& sandboxes = in.runtime.sandboxes;
  const auto no = [](const char* message) {
    return Verdict{.holds = false, .reason = "PodSandboxNotReady", .message = message};
  };
  if (sandboxes.empty()) {
    return no("no pod sandbox exists");
  }
  const auto ready = std::count_if(sandboxes.begin(), sandboxes.end(), [](const auto& status) {
    return status.sandbox.state == cri::SandboxState::kReady;
  });
  if (ready > 1) {
    return no("multiple pod sandboxes are ready and need to be reconciled");
  }
  if (sandboxes.front().sandbox.state != cri::SandboxState::kReady) {
    return no("pod sandbox is not ready");
  }
  if (!in.pod.spec.host_network && sandboxes.front().ips.empty()) {
    return no("pod sandbox has no IP address");
  }
  return {};
}

bool AnyStarted(const Json& statuses) {
  return std::any_of(statuses.begin(), statuses.end(), [](const Json& status) {
    return FindState(&status, "state", "running") != nullptr ||
           FindState(&status, "state", "terminated") != nullptr;
  });
}

Verdict Initialized(const ConditionsInput& in) {
  std::vector<std::string> unknown;
  std::vector<std::string> incomplete;
  for (const kube::Container& container : in.status.pod.spec.init_containers) {
    const Json* status = FindStatus(in.init_statuses, container.name);
    if (status == nullptr) {
      unknown.push_back(container.name);
    } else if (!Flag(*status, IsSidecar(container) ? "started" : "ready")) {
      incomplete.push_back(container.name);
    }
  }
  if (in.phase == "Succeeded" && unknown.empty()) {
    return {.reason = "PodCompleted"};
  }
  if (AnyStarted(in.statuses) || (unknown.empty() && incomplete.empty())) {
    return {};
  }
  return {.holds = false,
          .reason = "ContainersNotInitialized",
          .message = DescribeNames(unknown, incomplete, "incomplete")};
}

Verdict ContainersReady(const ConditionsInput& in) {
  std::vector<std::string> unknown;
  std::vector<std::string> unready;
  const auto look = [&](const kube::Container& container, const Json& statuses) {
    const Json* status = FindStatus(statuses, container.name);
    if (status == nullptr) {
      unknown.push_back(container.name);
    } else if (!Flag(*status, "ready")) {
      unready.push_back(container.name);
    }
  };
  for (const kube::Container& container : in.status.pod.spec.init_containers) {
    if (IsSidecar(container)) {
      look(container, in.init_statuses);
    }
  }
  for (const kube::Container& container : in.status.pod.spec.containers) {
    look(container, in.statuses);
  }
  if (in.phase == "Succeeded" && unknown.empty()) {
    return {.holds = false, .reason = "PodCompleted"};
  }
  if (in.phase == "Failed") {
    return {.holds = false, .reason = "PodFailed"};
  }
  if (unknown.empty() && unready.empty()) {
    return {};
  }
  return {.holds = false,
          .reason = "ContainersNotReady",
          .message = DescribeNames(unknown, unready, "unready")};
}

Verdict Ready(const ConditionsInput& in, const Verdict& containers, const Json& others) {
  if (!containers.holds) {
    return containers;
  }
  std::vector<std::string> problems;
  for (const std::string& gate : in.status.pod.spec.readiness_gates) {
    const Json* condition = FindCondition(others, gate);
    if (condition == nullptr) {
      problems.push_back(fmt::format(
          "corresponding condition of pod readiness gate \"{}\" does not exist.", gate));
    } else if (TextOf(*condition, "status") != "True") {
      problems.push_back(
          fmt::format("the status of pod readiness gate \"{}\" is not \"True\", but {}", gate,
                      TextOf(*condition, "status")));
    }
  }
  if (problems.empty()) {
    return {};
  }
  return {.holds = false,
          .reason = "ReadinessGatesNotReady",
          .message = fmt::format("{}", fmt::join(problems, ", "))};
}

Json MakeCondition(const StatusInput& in,
                   const Json& old_conditions,
                   std::string_view type,
                   const Verdict& verdict) {
  const std::string status = verdict.holds ? "True" : "False";
  Json condition = {{"type", type}, {"status", status}};
  if (!verdict.reason.empty()) {
    condition["reason"] = verdict.reason;
  }
  if (!verdict.message.empty()) {
    condition["message"] = verdict.message;
  }
  if (in.pod.meta.generation > 0) {
    condition["observedGeneration"] = in.pod.meta.generation;
  }
  const Json* old = FindCondition(old_conditions, type);
  const std::string since =
      old != nullptr && TextOf(*old, "status") == status ? TextOf(*old, "lastTransitionTime") : "";
  condition["lastTransitionTime"] = since.empty() ? FormatRfc3339(in.now) : since;
  return condition;
}

Json OldConditions(const kube::Pod& pod) {
  const Json* status = pod.raw == nullptr ? nullptr : Member(*pod.raw, "status");
  const Json* conditions = status == nullptr ? nullptr : Member(*status, "conditions");
  return conditions != nullptr && conditions->is_array() ? *conditions : Json::array();
}

}  // namespace

Json MakeConditions(const ConditionsInput& input) {
  const Json old = OldConditions(input.status.pod);
  Json conditions = Json::array();
  for (const Json& condition : old) {
    const std::string type = TextOf(condition, "type");
    if (std::find(kOwnTypes.begin(), kOwnTypes.end(), type) == kOwnTypes.end()) {
      conditions.push_back(condition);
    }
  }
  const Verdict containers = ContainersReady(input);
  const Verdict ready = Ready(input, containers, conditions);
  const std::array<Verdict, kOwnTypes.size()> verdicts{
      SandboxReady(input.status), Initialized(input), ready, containers, Verdict{}};
  for (size_t i = 0; i < kOwnTypes.size(); ++i) {
    conditions.push_back(MakeCondition(input.status, old, kOwnTypes[i], verdicts[i]));
  }
  return conditions;
}

}  // namespace farlet::pod
