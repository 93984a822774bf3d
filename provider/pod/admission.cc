#include "provider/pod/admission.h"

#include "provider/pod/container_status.h"
#include "provider/pod/resources.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <limits>
#include <set>
#include <string>
#include <utility>

namespace farlet::pod {
namespace {

// Namespaced, and without influence on other pods.
constexpr std::array<std::string_view, 14> kSafeSysctls{"kernel.shm_rmid_forced",
                                                        "net.ipv4.ip_local_port_range",
                                                        "net.ipv4.tcp_syncookies",
                                                        "net.ipv4.ping_group_range",
                                                        "net.ipv4.ip_unprivileged_port_start",
                                                        "net.ipv4.ip_local_reserved_ports",
                                                        "net.ipv4.tcp_keepalive_time",
                                                        "net.ipv4.tcp_fin_timeout",
                                                        "net.ipv4.tcp_keepalive_intvl",
                                                        "net.ipv4.tcp_keepalive_probes",
                                                        "net.ipv4.tcp_rmem",
                                                        "net.ipv4.tcp_wmem",
                                                        "net.ipv4.tcp_slow_start_after_idle",
                                                        "net.ipv4.tcp_notsent_lowat"};

PodFailure Reject(std::string reason, std::string cause) {
  return {.reason = std::move(reason), .message = std::move(cause)};
}

// Collects what a spec uses and this node does not run.
class SupportCheck {
 public:
  explicit SupportCheck(const kube::PodSpec& spec) : spec_(spec) {}

  std::vector<std::string> Find() && {
    problems_ = spec_.not_understood;
    for (size_t i = 0; i < spec_.volumes.size(); ++i) {
      LookAt(spec_.volumes[i], fmt::format("spec.volumes[{}]", i));
    }
    for (size_t i = 0; i < spec_.init_containers.size(); ++i) {
      LookAt(spec_.init_containers[i], fmt::format("spec.initContainers[{}]", i));
    }
    for (size_t i = 0; i < spec_.containers.size(); ++i) {
      LookAt(spec_.containers[i], fmt::format("spec.containers[{}]", i));
    }
    return std::move(problems_);
  }

 private:
  void LookAt(const kube::Volume& volume, const std::string& path) {
    if (const auto* other = std::get_if<kube::UnsupportedVolume>(&volume.source)) {
      problems_.push_back(fmt::format("{}.{} (volume \"{}\")", path, other->type, volume.name));
    } else if (const auto* empty = std::get_if<kube::EmptyDirVolume>(&volume.source)) {
      if (!empty->medium.empty() && empty->medium != "Memory") {
        problems_.push_back(
            fmt::format("{}.emptyDir.medium {} (volume \"{}\")", path, empty->medium, volume.name));
      }
    } else {
      LookAt(std::get<kube::ProjectedVolume>(volume.source), volume.name, path);
    }
  }

  void LookAt(const kube::ProjectedVolume& files,
              const std::string& name,
              const std::string& path) {
    for (size_t i = 0; i < files.sources.size(); ++i) {
      if (const auto* other = std::get_if<kube::UnsupportedProjection>(&files.sources[i])) {
        problems_.push_back(
            fmt::format("{}.projected.sources[{}].{} (volume \"{}\")", path, i, other->type, name));
      }
    }
  }

  void LookAt(const kube::Container& container, const std::string& path) {
    const std::array<std::pair<const char*, const std::optional<kube::Probe>*>, 3> probes{
        {{"livenessProbe", &container.liveness_probe},
         {"readinessProbe", &container.readiness_probe},
         {"startupProbe", &container.startup_probe}}};
    for (const auto& [name, probe] : probes) {
      if (*probe && std::holds_alternative<kube::GrpcAction>((*probe)->action)) {
        problems_.push_back(fmt::format("{}.{}.grpc", path, name));
      }
    }
    for (const auto& [name, quantity] : container.resources.limits) {
      if (name.starts_with("hugepages-") && !quantity.is_zero()) {
        problems_.push_back(fmt::format("{}.resources.limits[{}]", path, name));
      }
    }
  }

  const kube::PodSpec& spec_;
  std::vector<std::string> problems_;
};

bool IsActive(const kube::Pod& other, const kube::Pod& pod) {
  return other.meta.uid != pod.meta.uid && !IsTerminalPhase(other.phase);
}

kube::Quantity Get(const kube::ResourceList& list, const std::string& name) {
  const auto found = list.find(name);
  return found == list.end() ? kube::Quantity() : found->second;
}

int64_t Add(int64_t a, int64_t b) {
  int64_t sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? std::numeric_limits<int64_t>::max() : sum;
}

PodFailure OutOf(const std::string& resource, int64_t requested, int64_t used, int64_t capacity) {
  return Reject("OutOf" + resource,
                fmt::format("Node didn't have enough resource: {}, requested: {}, used: {}, "
                            "capacity: {}",
                            resource, requested, used, capacity));
}

struct HostPort {
  int32_t port = 0;
  std::string protocol;
  std::string ip;
};

std::vector<HostPort> HostPorts(const kube::PodSpec& spec) {
  std::vector<HostPort> ports;
  const auto look = [&](const kube::Container& container) {
    for (const kube::ContainerPort& port : container.ports) {
      if (port.host_port != 0) {
        ports.push_back({.port = port.host_port, .protocol = port.protocol, .ip = port.host_ip});
      }
    }
  };
  std::for_each(spec.containers.begin(), spec.containers.end(), look);
  for (const kube::Container& container : spec.init_containers) {
    if (IsSidecar(container)) {
      look(container);
    }
  }
  return ports;
}

bool IsAnyAddress(const std::string& ip) {
  return ip.empty() || ip == "0.0.0.0" || ip == "::";
}

bool Conflict(const HostPort& a, const HostPort& b) {
  return a.port == b.port && a.protocol == b.protocol &&
         (a.ip == b.ip || IsAnyAddress(a.ip) || IsAnyAddress(b.ip));
}

std::string OsName(const kube::Pod& pod) {
  const Json* spec = pod.raw == nullptr ? nullptr : Member(*pod.raw, "spec");
  const Json* os = spec == nullptr ? nullptr : Member(*spec, "os");
  return os == nullptr ? "" : TextOf(*os, "name");
}

}  // namespace

std::optional<PodFailure> CheckSupported(const kube::Pod& pod) {
  if (pod.invalid) {
    return Reject("UnsupportedPodSpec", "the pod's spec cannot be read: " + pod.invalid->message);
  }
  const std::string os = OsName(pod);
  if (!os.empty() && os != "linux") {
    return Reject("PodOSNotSupported", "Failed to admit pod as the OS field doesn't match node OS");
  }
  const std::vector<std::string> problems = SupportCheck(pod.spec).Find();
  if (problems.empty()) {
    return std::nullopt;
  }
  return Reject("UnsupportedPodSpec",
                fmt::format("not supported on this node: {}", fmt::join(problems, ", ")));
}

std::optional<PodFailure> CheckSysctls(const kube::Pod& pod) {
  for (const auto& [name, value] : pod.spec.security.sysctls) {
    if (std::find(kSafeSysctls.begin(), kSafeSysctls.end(), name) == kSafeSysctls.end()) {
      return Reject("SysctlForbidden",
                    fmt::format("forbidden sysctl: \"{}\" not allowlisted", name));
    }
    if (pod.spec.host_network && name.starts_with("net.")) {
      return Reject(
          "SysctlForbidden",
          fmt::format("forbidden sysctl: \"{}\" not allowed with host net enabled", name));
    }
    if (pod.spec.host_ipc && name.starts_with("kernel.shm")) {
      return Reject(
          "SysctlForbidden",
          fmt::format("forbidden sysctl: \"{}\" not allowed with host ipc enabled", name));
    }
  }
  return std::nullopt;
}

std::optional<PodFailure> CheckResources(const kube::Pod& pod,
                                         const PodList& active,
                                         const NodeContext& node) {
  const kube::ResourceList wanted = PodReservation(pod.spec);
  int64_t pods = 0;
  std::map<std::string, int64_t> used;
  for (const auto& other : active) {
    if (IsActive(*other, pod)) {
      ++pods;
      for (const auto& [name, quantity] : PodReservation(other->spec)) {
        used[name] = Add(used[name], quantity.milli());
      }
    }
  }
  if (pods + 1 > node.max_pods) {
    return OutOf("pods", 1, pods, node.max_pods);
  }
  for (const auto& [name, quantity] : wanted) {
    const int64_t capacity = Get(node.allocatable, name).milli();
    if (quantity.is_zero() || Add(used[name], quantity.milli()) <= capacity) {
      continue;
    }
    const bool cpu = name == "cpu";
    const auto shown = [&](int64_t milli) {
      return cpu ? milli : kube::Quantity::FromMilli(milli).value();
    };
    return OutOf(name, shown(quantity.milli()), shown(used[name]), shown(capacity));
  }
  return std::nullopt;
}

std::optional<PodFailure> CheckHostPorts(const kube::Pod& pod, const PodList& active) {
  const std::vector<HostPort> wanted = HostPorts(pod.spec);
  if (wanted.empty()) {
    return std::nullopt;
  }
  for (const auto& other : active) {
    if (!IsActive(*other, pod)) {
      continue;
    }
    const std::vector<HostPort> taken = HostPorts(other->spec);
    const bool conflict = std::any_of(wanted.begin(), wanted.end(), [&](const HostPort& port) {
      return std::any_of(taken.begin(), taken.end(),
                         [&](const HostPort& held) { return Conflict(port, held); });
    });
    if (conflict) {
      return Reject("NodePorts",
                    "Predicate NodePorts failed: node(s) didn't have free ports for the requested "
                    "pod ports");
    }
  }
  return std::nullopt;
}

std::optional<PodFailure> Admit(const kube::Pod& pod,
                                const PodList& active,
                                const NodeContext& node) {
  if (auto failure = CheckSupported(pod)) {
    return failure;
  }
  if (auto failure = CheckSysctls(pod)) {
    return failure;
  }
  if (auto failure = CheckResources(pod, active, node)) {
    return failure;
  }
  return CheckHostPorts(pod, active);
}

}  // namespace farlet::pod
