#include "provider/app/node_context_of.h"

#include "provider/fargate/names.h"
#include "provider/fargate/pod_facts.h"
#include "provider/fargate/sizing.h"

namespace farlet::app {
namespace {

// By the pod itself and not by its annotations or the extended resources in its requests: both are
// the tenant's to write. Without a profile, limits count as on any other node.
pod::MachineSize MachineSizeOf(const kube::Pod& pod, const std::string& profile_label) {
  const auto facts = fargate::PodFacts::FromJson(*pod.raw, pod.meta.object_namespace);
  const auto size = facts ? fargate::SizePod(*facts) : Result<fargate::PodSize>(facts.error());
  if (!size) {
    return {};  // too large for Fargate, which only matters to those that the webhook lets through
  }
  pod::MachineSize machine{.storage_bytes = size->storage.value};
  if (pod.meta.labels.contains(profile_label)) {
    machine.milli_cpus = size->machine.cpu.value;
    machine.memory_bytes = size->machine.memory.value;
  }
  return machine;
}

}  // namespace

pod::NodeContext NodeContextOf(const NodeConfig& config,
                               const std::string& ip,
                               const node::Capacity& capacity) {
  return {.node_name = config.node_name,
          .host_ip = ip,
          .root_dir = config.root_dir,
          .pod_logs_dir = config.pod_logs_dir,
          .runtime_handler = config.runtime_handler,
          .cgroup_root = config.cgroup_root,
          .systemd_cgroups = config.cgroup_driver == "systemd",
          .cluster_dns = config.cluster_dns,
          .cluster_domain = config.cluster_domain,
          .resolv_conf = config.resolv_conf,
          .capacity = capacity.capacity,
          .allocatable = capacity.allocatable,
          .max_pods = config.max_pods,
          .machine_size = [label = fargate::Names(config.fargate_prefix).profile_label](
                              const kube::Pod& pod) { return MachineSizeOf(pod, label); }};
}

}  // namespace farlet::app
