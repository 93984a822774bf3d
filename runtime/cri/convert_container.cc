#include "runtime/cri/convert.h"

#include <utility>

namespace farlet::cri {
namespace {

ContainerState FromState(pb::ContainerState from) {
  switch (from) {
    case pb::CONTAINER_CREATED:
      return ContainerState::kCreated;
    case pb::CONTAINER_RUNNING:
      return ContainerState::kRunning;
    case pb::CONTAINER_EXITED:
      return ContainerState::kExited;
    default:
      return ContainerState::kUnknown;
  }
}

ContainerMetadata FromMetadata(const pb::ContainerMetadata& from) {
  return {.name = from.name(), .attempt = from.attempt()};
}

pb::MountPropagation ToPropagation(MountPropagation from) {
  switch (from) {
    case MountPropagation::kPrivate:
      return pb::PROPAGATION_PRIVATE;
    case MountPropagation::kHostToContainer:
      return pb::PROPAGATION_HOST_TO_CONTAINER;
    case MountPropagation::kBidirectional:
      return pb::PROPAGATION_BIDIRECTIONAL;
  }
  return pb::PROPAGATION_PRIVATE;
}

void ToIdentity(const ContainerSecurity& from, pb::LinuxContainerSecurityContext* to) {
  if (from.run_as_user) {
    to->mutable_run_as_user()->set_value(*from.run_as_user);
  }
  to->set_run_as_username(from.run_as_username);
  if (from.run_as_group) {
    to->mutable_run_as_group()->set_value(*from.run_as_group);
  }
  to->mutable_supplemental_groups()->Assign(from.supplemental_groups.begin(),
                                            from.supplemental_groups.end());
}

void ToContainerSecurity(const ContainerSecurity& from, pb::LinuxContainerSecurityContext* to) {
  pb::Capability* capabilities = to->mutable_capabilities();
  capabilities->mutable_add_capabilities()->Assign(from.capabilities.add.begin(),
                                                   from.capabilities.add.end());
  capabilities->mutable_drop_capabilities()->Assign(from.capabilities.drop.begin(),
                                                    from.capabilities.drop.end());
  to->set_privileged(from.privileged);
  ToNamespaceOptions(from.namespaces, to->mutable_namespace_options());
  ToIdentity(from, to);
  to->set_readonly_rootfs(from.readonly_rootfs);
  to->set_no_new_privs(from.no_new_privs);
  to->mutable_masked_paths()->Assign(from.masked_paths.begin(), from.masked_paths.end());
  to->mutable_readonly_paths()->Assign(from.readonly_paths.begin(), from.readonly_paths.end());
  ToSecurityProfile(from.seccomp, to->mutable_seccomp());
  if (from.apparmor) {
    ToSecurityProfile(*from.apparmor, to->mutable_apparmor());
  }
}

void ToProcess(const ContainerConfig& from, pb::ContainerConfig* to) {
  to->mutable_command()->Assign(from.command.begin(), from.command.end());
  to->mutable_args()->Assign(from.args.begin(), from.args.end());
  to->set_working_dir(from.working_dir);
  for (const EnvVar& env : from.envs) {
    pb::KeyValue* pair = to->add_envs();
    pair->set_key(env.name);
    pair->set_value(env.value);
  }
  to->set_stdin(from.stdin_open);
  to->set_stdin_once(from.stdin_once);
  to->set_tty(from.tty);
}

}  // namespace

void ToContainerConfig(const ContainerConfig& from, pb::ContainerConfig* to) {
  to->mutable_metadata()->set_name(from.metadata.name);
  to->mutable_metadata()->set_attempt(from.metadata.attempt);
  to->mutable_image()->set_image(from.image);
  to->mutable_image()->set_user_specified_image(from.user_specified_image);
  ToProcess(from, to);
  for (const Mount& mount : from.mounts) {
    pb::Mount* added = to->add_mounts();
    added->set_container_path(mount.container_path);
    added->set_host_path(mount.host_path);
    added->set_readonly(mount.readonly);
    added->set_propagation(ToPropagation(mount.propagation));
  }
  ToMap(from.labels, to->mutable_labels());
  ToMap(from.annotations, to->mutable_annotations());
  to->set_log_path(from.log_path);
  ToResources(from.resources, to->mutable_linux()->mutable_resources());
  ToContainerSecurity(from.security, to->mutable_linux()->mutable_security_context());
}

Result<std::vector<Container>> FromContainerList(const pb::ListContainersResponse& from) {
  std::vector<Container> containers;
  containers.reserve(static_cast<size_t>(from.containers_size()));
  for (const pb::Container& item : from.containers()) {
    if (item.id().empty()) {
      return MissingField("ListContainers", "a container's id");
    }
    if (item.pod_sandbox_id().empty()) {
      return MissingField("ListContainers", "the sandbox's id of container " + item.id());
    }
    containers.push_back({.id = {item.id()},
                          .sandbox_id = {item.pod_sandbox_id()},
                          .metadata = FromMetadata(item.metadata()),
                          .image = item.image().image(),
                          .image_ref = item.image_ref(),
                          .state = FromState(item.state()),
                          .created_at = FromNanos(item.created_at()),
                          .labels = FromMap(item.labels()),
                          .annotations = FromMap(item.annotations())});
  }
  return containers;
}

Result<ContainerStatus> FromContainerStatus(const pb::ContainerStatusResponse& from) {
  const pb::ContainerStatus& status = from.status();
  if (status.id().empty()) {
    return MissingField("ContainerStatus", "the container's id");
  }
  return ContainerStatus{.id = {status.id()},
                         .metadata = FromMetadata(status.metadata()),
                         .state = FromState(status.state()),
                         .created_at = FromNanos(status.created_at()),
                         .started_at = FromNanos(status.started_at()),
                         .finished_at = FromNanos(status.finished_at()),
                         .exit_code = status.exit_code(),
                         .image = status.image().image(),
                         .image_ref = status.image_ref(),
                         .image_id = status.image_id(),
                         .reason = status.reason(),
                         .message = status.message(),
                         .labels = FromMap(status.labels()),
                         .annotations = FromMap(status.annotations()),
                         .log_path = status.log_path()};
}

}  // namespace farlet::cri
