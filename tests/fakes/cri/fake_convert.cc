#include "tests/fakes/cri/fake_convert.h"

#include <chrono>

namespace farlet::testing {
namespace {

namespace pb = ::runtime::v1;

cri::StringMap ReadMap(const google::protobuf::Map<std::string, std::string>& from) {
  return {from.begin(), from.end()};
}

template <class Repeated>
auto ReadList(const Repeated& from) {
  return std::vector<typename Repeated::value_type>(from.begin(), from.end());
}

cri::NamespaceMode ReadMode(pb::NamespaceMode from) {
  return from == pb::POD    ? cri::NamespaceMode::kPod
         : from == pb::NODE ? cri::NamespaceMode::kNode
                            : cri::NamespaceMode::kContainer;
}

cri::NamespaceOptions ReadNamespaces(const pb::NamespaceOption& from) {
  return {.network = ReadMode(from.network()),
          .pid = ReadMode(from.pid()),
          .ipc = ReadMode(from.ipc())};
}

cri::LinuxResources ReadResources(const pb::LinuxContainerResources& from) {
  return {.cpu_period = from.cpu_period(),
          .cpu_quota = from.cpu_quota(),
          .cpu_shares = from.cpu_shares(),
          .memory_limit_bytes = from.memory_limit_in_bytes(),
          .oom_score_adj = from.oom_score_adj(),
          .unified = ReadMap(from.unified())};
}

cri::SecurityProfile ReadProfile(const pb::SecurityProfile& from) {
  return {.type = static_cast<cri::SecurityProfile::Type>(from.profile_type()),
          .localhost_ref = from.localhost_ref()};
}

template <class Message>
std::optional<int64_t> ReadUser(const Message& from) {
  return from.has_run_as_user() ? std::optional(from.run_as_user().value()) : std::nullopt;
}

template <class Message>
std::optional<int64_t> ReadGroup(const Message& from) {
  return from.has_run_as_group() ? std::optional(from.run_as_group().value()) : std::nullopt;
}

cri::SandboxSecurity ReadSecurity(const pb::LinuxSandboxSecurityContext& from) {
  return {.namespaces = ReadNamespaces(from.namespace_options()),
          .run_as_user = ReadUser(from),
          .run_as_group = ReadGroup(from),
          .supplemental_groups = ReadList(from.supplemental_groups()),
          .readonly_rootfs = from.readonly_rootfs(),
          .privileged = from.privileged(),
          .seccomp = ReadProfile(from.seccomp())};
}

cri::ContainerSecurity ReadSecurity(const pb::LinuxContainerSecurityContext& from) {
  cri::ContainerSecurity security{
      .capabilities = {.add = ReadList(from.capabilities().add_capabilities()),
                       .drop = ReadList(from.capabilities().drop_capabilities())},
      .privileged = from.privileged(),
      .namespaces = ReadNamespaces(from.namespace_options()),
      .run_as_user = ReadUser(from),
      .run_as_username = from.run_as_username(),
      .run_as_group = ReadGroup(from),
      .supplemental_groups = ReadList(from.supplemental_groups()),
      .readonly_rootfs = from.readonly_rootfs(),
      .no_new_privs = from.no_new_privs(),
      .masked_paths = ReadList(from.masked_paths()),
      .readonly_paths = ReadList(from.readonly_paths()),
      .seccomp = ReadProfile(from.seccomp())};
  if (from.has_apparmor()) {
    security.apparmor = ReadProfile(from.apparmor());
  }
  return security;
}

pb::ContainerState WriteState(cri::ContainerState from) {
  switch (from) {
    case cri::ContainerState::kCreated:
      return pb::CONTAINER_CREATED;
    case cri::ContainerState::kRunning:
      return pb::CONTAINER_RUNNING;
    case cri::ContainerState::kExited:
      return pb::CONTAINER_EXITED;
    case cri::ContainerState::kUnknown:
      return pb::CONTAINER_UNKNOWN;
  }
  return pb::CONTAINER_UNKNOWN;
}

}  // namespace

int64_t Nanos(WallTime time) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
}

cri::SandboxConfig ReadSandboxConfig(const pb::PodSandboxConfig& from) {
  cri::SandboxConfig config{.metadata = {.name = from.metadata().name(),
                                         .pod_namespace = from.metadata().namespace_(),
                                         .uid = from.metadata().uid(),
                                         .attempt = from.metadata().attempt()},
                            .hostname = from.hostname(),
                            .log_directory = from.log_directory(),
                            .dns = {.servers = ReadList(from.dns_config().servers()),
                                    .searches = ReadList(from.dns_config().searches()),
                                    .options = ReadList(from.dns_config().options())},
                            .labels = ReadMap(from.labels()),
                            .annotations = ReadMap(from.annotations()),
                            .cgroup_parent = from.linux().cgroup_parent(),
                            .sysctls = ReadMap(from.linux().sysctls()),
                            .security = ReadSecurity(from.linux().security_context())};
  for (const pb::PortMapping& port : from.port_mappings()) {
    config.port_mappings.push_back(
        {.protocol = static_cast<cri::PortMapping::Protocol>(port.protocol()),
         .container_port = port.container_port(),
         .host_port = port.host_port(),
         .host_ip = port.host_ip()});
  }
  if (from.linux().has_overhead()) {
    config.overhead = ReadResources(from.linux().overhead());
  }
  if (from.linux().has_resources()) {
    config.resources = ReadResources(from.linux().resources());
  }
  return config;
}

cri::ContainerConfig ReadContainerConfig(const pb::ContainerConfig& from) {
  cri::ContainerConfig config{
      .metadata = {.name = from.metadata().name(), .attempt = from.metadata().attempt()},
      .image = from.image().image(),
      .user_specified_image = from.image().user_specified_image(),
      .command = ReadList(from.command()),
      .args = ReadList(from.args()),
      .working_dir = from.working_dir(),
      .labels = ReadMap(from.labels()),
      .annotations = ReadMap(from.annotations()),
      .log_path = from.log_path(),
      .stdin_open = from.stdin(),
      .stdin_once = from.stdin_once(),
      .tty = from.tty(),
      .resources = ReadResources(from.linux().resources()),
      .security = ReadSecurity(from.linux().security_context())};
  for (const pb::KeyValue& env : from.envs()) {
    config.envs.push_back({.name = env.key(), .value = env.value()});
  }
  for (const pb::Mount& mount : from.mounts()) {
    config.mounts.push_back(
        {.container_path = mount.container_path(),
         .host_path = mount.host_path(),
         .readonly = mount.readonly(),
         .propagation = static_cast<cri::MountPropagation>(static_cast<int>(mount.propagation()))});
  }
  return config;
}

cri::ImageAuth ReadAuth(const pb::AuthConfig& from) {
  return {.username = from.username(),
          .password = from.password(),
          .auth = from.auth(),
          .server_address = from.server_address(),
          .identity_token = from.identity_token(),
          .registry_token = from.registry_token()};
}

void WriteSandboxStatus(const FakeSandbox& from, pb::PodSandboxStatus* to) {
  WriteSandbox(from, to);
  if (!from.ips.empty()) {
    to->mutable_network()->set_ip(from.ips.front());
  }
  for (size_t i = 1; i < from.ips.size(); ++i) {
    to->mutable_network()->add_additional_ips()->set_ip(from.ips[i]);
  }
}

void WriteContainer(const FakeContainer& from, const std::string& image_id, pb::Container* to) {
  to->set_id(from.id);
  to->set_pod_sandbox_id(from.sandbox_id);
  to->mutable_metadata()->set_name(from.config.metadata.name);
  to->mutable_metadata()->set_attempt(from.config.metadata.attempt);
  to->mutable_image()->set_image(from.config.image);
  to->set_image_ref(image_id);
  to->set_state(WriteState(from.state));
  to->set_created_at(Nanos(from.created_at));
  to->mutable_labels()->insert(from.config.labels.begin(), from.config.labels.end());
  to->mutable_annotations()->insert(from.config.annotations.begin(), from.config.annotations.end());
}

void WriteContainerStatus(const FakeContainer& from,
                          const std::string& image_id,
                          pb::ContainerStatus* to) {
  to->set_id(from.id);
  to->mutable_metadata()->set_name(from.config.metadata.name);
  to->mutable_metadata()->set_attempt(from.config.metadata.attempt);
  to->set_state(WriteState(from.state));
  to->set_created_at(Nanos(from.created_at));
  to->set_started_at(Nanos(from.started_at));
  to->set_finished_at(Nanos(from.finished_at));
  to->set_exit_code(from.exit_code);
  to->mutable_image()->set_image(from.config.user_specified_image.empty()
                                     ? from.config.image
                                     : from.config.user_specified_image);
  to->set_image_ref(image_id);
  to->set_image_id(image_id);
  to->set_reason(from.reason);
  to->set_message(from.message);
  to->mutable_labels()->insert(from.config.labels.begin(), from.config.labels.end());
  to->mutable_annotations()->insert(from.config.annotations.begin(), from.config.annotations.end());
  to->set_log_path(from.log_path);
}

}  // namespace farlet::testing
