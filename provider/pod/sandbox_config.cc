#include "provider/pod/container_status.h"
#include "provider/pod/cri_config.h"
#include "provider/pod/dns.h"
#include "provider/pod/hostname.h"
#include "provider/pod/resources.h"
#include "provider/pod/security.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace farlet::pod {
namespace {

// Of a sandbox: what the shim of our runtime makes the pod's disk by (runtime/shim/spec/pod_spec).
const std::string kStorageAnnotation = "farlet.dev/ephemeral-storage-bytes";

cri::PortMapping::Protocol ProtocolOf(const std::string& name) {
  using Protocol = cri::PortMapping::Protocol;
  if (name == "UDP") {
    return Protocol::kUdp;
  }
  return name == "SCTP" ? Protocol::kSctp : Protocol::kTcp;
}

void AddPorts(const kube::Container& container, std::vector<cri::PortMapping>& mappings) {
  for (const kube::ContainerPort& port : container.ports) {
    const cri::PortMapping mapping{.protocol = ProtocolOf(port.protocol),
                                   .container_port = port.container_port,
                                   .host_port = port.host_port,
                                   .host_ip = port.host_ip};
    const bool known =
        std::any_of(mappings.begin(), mappings.end(), [&](const cri::PortMapping& other) {
          return other.protocol == mapping.protocol &&
                 other.container_port == mapping.container_port &&
                 other.host_port == mapping.host_port && other.host_ip == mapping.host_ip;
        });
    if (!known) {
      mappings.push_back(mapping);
    }
  }
}

std::vector<cri::PortMapping> MakePortMappings(const kube::PodSpec& spec) {
  std::vector<cri::PortMapping> mappings;
  for (const kube::Container& container : spec.init_containers) {
    if (IsSidecar(container)) {
      AddPorts(container, mappings);
    }
  }
  for (const kube::Container& container : spec.containers) {
    AddPorts(container, mappings);
  }
  return mappings;
}

// systemd separates the levels of a slice by dashes, so that names must not contain any.
std::string EscapeSlice(std::string name) {
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

std::vector<std::string> CgroupNames(const kube::Pod& pod, const NodeContext& node) {
  std::vector<std::string> names;
  std::string_view root = node.cgroup_root;
  while (!root.empty()) {
    const size_t end = std::min(root.find('/'), root.size());
    if (end > 0) {
      names.emplace_back(root.substr(0, end));
    }
    root.remove_prefix(std::min(end + 1, root.size()));
  }
  names.emplace_back("kubepods");
  const kube::QosClass qos = kube::ComputeQosClass(pod.spec);
  if (qos == kube::QosClass::kBurstable) {
    names.emplace_back("burstable");
  } else if (qos == kube::QosClass::kBestEffort) {
    names.emplace_back("besteffort");
  }
  names.push_back("pod" + pod.meta.uid);
  return names;
}

}  // namespace

std::string PodCgroupParent(const kube::Pod& pod, const NodeContext& node) {
  const std::vector<std::string> names = CgroupNames(pod, node);
  std::string path;
  if (!node.systemd_cgroups) {
    for (const std::string& name : names) {
      path += "/" + name;
    }
    return path;
  }
  std::string slice;
  for (const std::string& name : names) {
    slice += (slice.empty() ? "" : "-") + EscapeSlice(name);
    path += "/" + slice + ".slice";
  }
  return path;
}

Result<cri::SandboxConfig> MakeSandboxConfig(const kube::Pod& pod,
                                             uint32_t attempt,
                                             const NodeContext& node,
                                             std::vector<PodWarning>& warnings) {
  cri::SandboxConfig config;
  config.metadata = {.name = pod.meta.name,
                     .pod_namespace = pod.meta.object_namespace,
                     .uid = pod.meta.uid,
                     .attempt = attempt};
  if (!pod.spec.host_network) {
    FARLET_ASSIGN(config.hostname, KernelHostname(pod, node));
  }
  config.log_directory = PodLogDirectory(node, pod).string();
  FARLET_ASSIGN(config.dns, MakeDnsConfig(pod, node, warnings));
  config.port_mappings = MakePortMappings(pod.spec);
  config.labels = pod.meta.labels;
  config.labels[cri::labels::kPodName] = pod.meta.name;
  config.labels[cri::labels::kPodNamespace] = pod.meta.object_namespace;
  config.labels[cri::labels::kPodUid] = pod.meta.uid;
  config.labels[cri::labels::kOwner] = node.node_name;
  config.annotations = pod.meta.annotations;
  config.cgroup_parent = PodCgroupParent(pod, node);
  config.sysctls = pod.spec.security.sysctls;
  config.security = MakeSandboxSecurity(pod);
  config.overhead = OverheadResources(pod.spec);
  const MachineSize machine = node.machine_size ? node.machine_size(pod) : MachineSize();
  config.resources = SandboxResources(pod.spec, machine);
  // Never the pod's own: it would choose how much of the host's disk it may fill.
  config.annotations.erase(kStorageAnnotation);
  if (machine.storage_bytes > 0) {
    config.annotations[kStorageAnnotation] = std::to_string(machine.storage_bytes);
  }
  return config;
}

}  // namespace farlet::pod
