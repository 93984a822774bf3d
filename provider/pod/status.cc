#include "provider/pod/status.h"

#include "kube/api/utf8.h"
#include "provider/pod/conditions.h"
#include "provider/pod/container_status.h"
#include "provider/pod/phase.h"
#include "runtime/base/time_format.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <utility>

namespace farlet::pod {
namespace {

const Json& OldStatus(const kube::Pod& pod) {
  static const Json kNone = Json::object();
  const Json* status = pod.raw == nullptr ? nullptr : Member(*pod.raw, "status");
  return status == nullptr ? kNone : *status;
}

bool IsAddress(int family, const std::string& text) {
  std::array<unsigned char, sizeof(in6_addr)> address{};
  return ::inet_pton(family, text.c_str(), address.data()) == 1;
}

// The first address of the host's family, then the first of the other.
std::vector<std::string> SortIps(const std::vector<std::string>& ips, const std::string& host_ip) {
  const bool v6_first = IsAddress(AF_INET6, host_ip);
  std::vector<std::string> sorted;
  for (const int family : {v6_first ? AF_INET6 : AF_INET, v6_first ? AF_INET : AF_INET6}) {
    const auto found =
        std::find_if(ips.begin(), ips.end(), [&](const auto& ip) { return IsAddress(family, ip); });
    if (found != ips.end()) {
      sorted.push_back(*found);
    }
  }
  return sorted;
}

Json IpList(const std::vector<std::string>& ips) {
  Json list = Json::array();
  for (const std::string& ip : ips) {
    list.push_back({{"ip", ip}});
  }
  return list;
}

void SetAddresses(const StatusInput& in, const Json& old, Json& status) {
  if (!in.host_ip.empty()) {
    status["hostIP"] = in.host_ip;
    status["hostIPs"] = IpList({in.host_ip});
  }
  std::vector<std::string> ips;
  for (const cri::SandboxStatus& sandbox : in.runtime.sandboxes) {
    if (sandbox.sandbox.state == cri::SandboxState::kReady) {
      ips = SortIps(sandbox.ips, in.host_ip);
      break;
    }
  }
  if (!ips.empty()) {
    status["podIP"] = ips.front();
    status["podIPs"] = IpList(ips);
  } else if (const Json* known = Member(old, "podIPs")) {
    // A pod keeps its address in the API until it gets another one.
    status["podIP"] = TextOf(old, "podIP");
    status["podIPs"] = *known;
  } else if (in.pod.spec.host_network && !in.host_ip.empty()) {
    status["podIP"] = in.host_ip;
    status["podIPs"] = IpList({in.host_ip});
  }
}

bool MayRun(const StatusInput& in) {
  return !in.finished && std::any_of(in.runtime.containers.begin(), in.runtime.containers.end(),
                                     [](const cri::ContainerView& view) {
                                       return view.status.state != cri::ContainerState::kExited;
                                     });
}

// An app container was started in the newest sandbox.
bool IsInitialized(const StatusInput& in) {
  if (in.runtime.sandboxes.empty()) {
    return false;
  }
  const cri::SandboxId& newest = in.runtime.sandboxes.front().sandbox.id;
  return std::any_of(
      in.runtime.containers.begin(), in.runtime.containers.end(), [&](const auto& view) {
        return view.sandbox == newest &&
               std::any_of(
                   in.pod.spec.containers.begin(), in.pod.spec.containers.end(),
                   [&](const auto& spec) { return spec.name == view.status.metadata.name; });
      });
}

void KeepText(const Json& old, const char* key, Json& status) {
  const std::string text = TextOf(old, key);
  if (!text.empty()) {
    status[key] = text;
  }
}

// Phase with reason and message. A terminal phase is never left, and never reported while
// something may still run: others would take over what the pod uses.
std::string SetPhase(const StatusInput& in, const Json& old, std::string phase, Json& status) {
  const std::string old_phase = TextOf(old, "phase");
  if (IsTerminalPhase(old_phase)) {
    status["phase"] = old_phase;
    KeepText(old, "reason", status);
    KeepText(old, "message", status);
    return old_phase;
  }
  const bool may_run = in.failure ? !in.finished : MayRun(in);
  if (in.failure && !may_run) {
    status["phase"] = "Failed";
    status["reason"] = in.failure->reason;
    status["message"] = kube::ValidUtf8(in.failure->message);
    return "Failed";
  }
  if (in.finished && !IsTerminalPhase(phase)) {
    phase = "Failed";
  }
  if (may_run && IsTerminalPhase(phase)) {
    phase = old_phase.empty() ? "Pending" : old_phase;
  }
  status["phase"] = phase;
  if (phase == old_phase) {
    KeepText(old, "reason", status);
    KeepText(old, "message", status);
  }
  return phase;
}

// A pod that was refused has nothing to say about its containers.
bool NeverBegun(const StatusInput& in, const Json& old) {
  return in.failure && in.finished && in.runtime.containers.empty() &&
         Member(old, "containerStatuses") == nullptr;
}

}  // namespace

bool IsTerminalPhase(std::string_view phase) {
  return phase == "Succeeded" || phase == "Failed";
}

Json ComputeStatus(const StatusInput& input) {
  const kube::PodSpec& spec = input.pod.spec;
  const Json& old = OldStatus(input.pod);
  Json status = Json::object();
  Json init = Json::array();
  Json regular = Json::array();
  if (!NeverBegun(input, old)) {
    init = MakeContainerStatuses(input, spec.init_containers, ContainerKind::kInit);
    regular = MakeContainerStatuses(input, spec.containers, ContainerKind::kRegular);
    if (input.finished) {
      MarkVanished(input.pod, init, regular);
    }
  }
  const std::string phase = SetPhase(input, old,
                                     ComputePhase({.spec = spec,
                                                   .init_statuses = init,
                                                   .statuses = regular,
                                                   .finished = input.finished,
                                                   .initialized = IsInitialized(input)}),
                                     status);
  status["conditions"] =
      MakeConditions({.status = input, .init_statuses = init, .statuses = regular, .phase = phase});
  SetAddresses(input, old, status);
  const std::string start = TextOf(old, "startTime");
  status["startTime"] = start.empty() ? FormatRfc3339(input.start_time) : start;
  const std::string qos = TextOf(old, "qosClass");
  status["qosClass"] = qos.empty() ? std::string(QosClassName(kube::ComputeQosClass(spec))) : qos;
  if (input.pod.meta.generation > 0) {
    status["observedGeneration"] = input.pod.meta.generation;
  }
  if (!regular.empty()) {
    status["containerStatuses"] = std::move(regular);
  }
  if (!init.empty()) {
    status["initContainerStatuses"] = std::move(init);
  }
  return status;
}

}  // namespace farlet::pod
