#include "runtime/cri/convert.h"

#include <utility>

namespace farlet::cri {
namespace {

SandboxMetadata FromMetadata(const pb::PodSandboxMetadata& from) {
  return {.name = from.name(),
          .pod_namespace = from.namespace_(),
          .uid = from.uid(),
          .attempt = from.attempt()};
}

// Of PodSandbox and PodSandboxStatus, which share these fields.
template <class Message>
Result<Sandbox> FromSandbox(const Message& from, std::string_view call) {
  if (from.id().empty()) {
    return MissingField(call, "the sandbox's id");
  }
  return Sandbox{
      .id = {from.id()},
      .metadata = FromMetadata(from.metadata()),
      .state = from.state() == pb::SANDBOX_READY ? SandboxState::kReady : SandboxState::kNotReady,
      .created_at = FromNanos(from.created_at()),
      .labels = FromMap(from.labels()),
      .annotations = FromMap(from.annotations()),
      .runtime_handler = from.runtime_handler()};
}

void ToSandboxSecurity(const SandboxSecurity& from, pb::LinuxSandboxSecurityContext* to) {
  ToNamespaceOptions(from.namespaces, to->mutable_namespace_options());
  if (from.run_as_user) {
    to->mutable_run_as_user()->set_value(*from.run_as_user);
  }
  if (from.run_as_group) {
    to->mutable_run_as_group()->set_value(*from.run_as_group);
  }
  to->mutable_supplemental_groups()->Assign(from.supplemental_groups.begin(),
                                            from.supplemental_groups.end());
  to->set_readonly_rootfs(from.readonly_rootfs);
  to->set_privileged(from.privileged);
  ToSecurityProfile(from.seccomp, to->mutable_seccomp());
}

void ToLinux(const SandboxConfig& from, pb::LinuxPodSandboxConfig* to) {
  to->set_cgroup_parent(from.cgroup_parent);
  ToMap(from.sysctls, to->mutable_sysctls());
  ToSandboxSecurity(from.security, to->mutable_security_context());
  if (from.overhead) {
    ToResources(*from.overhead, to->mutable_overhead());
  }
  if (from.resources) {
    ToResources(*from.resources, to->mutable_resources());
  }
}

}  // namespace

void ToSandboxConfig(const SandboxConfig& from, pb::PodSandboxConfig* to) {
  pb::PodSandboxMetadata* metadata = to->mutable_metadata();
  metadata->set_name(from.metadata.name);
  metadata->set_namespace_(from.metadata.pod_namespace);
  metadata->set_uid(from.metadata.uid);
  metadata->set_attempt(from.metadata.attempt);
  to->set_hostname(from.hostname);
  to->set_log_directory(from.log_directory);
  pb::DNSConfig* dns = to->mutable_dns_config();
  dns->mutable_servers()->Assign(from.dns.servers.begin(), from.dns.servers.end());
  dns->mutable_searches()->Assign(from.dns.searches.begin(), from.dns.searches.end());
  dns->mutable_options()->Assign(from.dns.options.begin(), from.dns.options.end());
  for (const PortMapping& mapping : from.port_mappings) {
    pb::PortMapping* port = to->add_port_mappings();
    port->set_protocol(static_cast<pb::Protocol>(mapping.protocol));
    port->set_container_port(mapping.container_port);
    port->set_host_port(mapping.host_port);
    port->set_host_ip(mapping.host_ip);
  }
  ToMap(from.labels, to->mutable_labels());
  ToMap(from.annotations, to->mutable_annotations());
  ToLinux(from, to->mutable_linux());
}

Result<std::vector<Sandbox>> FromSandboxList(const pb::ListPodSandboxResponse& from) {
  std::vector<Sandbox> sandboxes;
  sandboxes.reserve(static_cast<size_t>(from.items_size()));
  for (const pb::PodSandbox& item : from.items()) {
    FARLET_ASSIGN(Sandbox sandbox, FromSandbox(item, "ListPodSandbox"));
    sandboxes.push_back(std::move(sandbox));
  }
  return sandboxes;
}

Result<SandboxStatus> FromSandboxStatus(const pb::PodSandboxStatusResponse& from) {
  FARLET_ASSIGN(Sandbox sandbox, FromSandbox(from.status(), "PodSandboxStatus"));
  SandboxStatus status{.sandbox = std::move(sandbox)};
  const pb::PodSandboxNetworkStatus& network = from.status().network();
  if (!network.ip().empty()) {
    status.ips.push_back(network.ip());
  }
  for (const pb::PodIP& additional : network.additional_ips()) {
    if (!additional.ip().empty()) {
      status.ips.push_back(additional.ip());
    }
  }
  return status;
}

}  // namespace farlet::cri
