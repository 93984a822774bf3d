#include "provider/pod/security.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

namespace farlet::pod {
namespace {

// What the kernel shows there can tell about, or disturb, the host.
std::vector<std::string> FindMaskedPaths() {
  std::vector<std::string> paths{
      "/proc/asound",     "/proc/acpi",        "/proc/interrupts",
      "/proc/kcore",      "/proc/keys",        "/proc/latency_stats",
      "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug",
      "/proc/scsi",       "/sys/firmware",     "/sys/devices/virtual/powercap"};
  std::error_code error;
  for (int cpu = 0; !error; ++cpu) {
    const std::string folder = fmt::format("/sys/devices/system/cpu/cpu{}", cpu);
    if (!std::filesystem::exists(folder, error) || error) {
      break;
    }
    std::string throttle = folder + "/thermal_throttle";
    if (std::filesystem::exists(throttle, error) && !error) {
      paths.push_back(std::move(throttle));
    }
  }
  return paths;
}

cri::NamespaceOptions Namespaces(const kube::PodSpec& spec) {
  using cri::NamespaceMode;
  cri::NamespaceOptions options;
  options.network = spec.host_network ? NamespaceMode::kNode : NamespaceMode::kPod;
  options.ipc = spec.host_ipc ? NamespaceMode::kNode : NamespaceMode::kPod;
  if (spec.host_pid) {
    options.pid = NamespaceMode::kNode;
  } else {
    options.pid = spec.share_process_namespace ? NamespaceMode::kPod : NamespaceMode::kContainer;
  }
  return options;
}

std::vector<int64_t> SupplementalGroups(const kube::PodSecurityContext& security) {
  std::vector<int64_t> groups;
  if (security.fs_group) {
    groups.push_back(*security.fs_group);
  }
  groups.insert(groups.end(), security.supplemental_groups.begin(),
                security.supplemental_groups.end());
  return groups;
}

cri::SecurityProfile Profile(const kube::SecurityProfile& profile, const std::string& reference) {
  using Type = cri::SecurityProfile::Type;
  if (profile.type == "RuntimeDefault") {
    return {.type = Type::kRuntimeDefault};
  }
  if (profile.type == "Localhost") {
    return {.type = Type::kLocalhost, .localhost_ref = reference};
  }
  return {.type = Type::kUnconfined};
}

template <class T>
std::optional<T> Either(const std::optional<T>& container, const std::optional<T>& pod) {
  return container ? container : pod;
}

cri::SecurityProfile Seccomp(const kube::Pod& pod,
                             const kube::Container& container,
                             const NodeContext& node) {
  const auto profile = Either(container.security.seccomp, pod.spec.security.seccomp);
  if (!profile) {
    return {.type = cri::SecurityProfile::Type::kUnconfined};
  }
  return Profile(*profile, (node.root_dir / "seccomp" / profile->localhost_profile).string());
}

// Who the container runs as, after the pod, the container and the image have had their say.
struct User {
  std::optional<int64_t> uid;
  std::string name;
};

Result<User> ChooseUser(const kube::Pod& pod, const ContainerInputs& inputs) {
  const kube::SecurityContext& own = inputs.container.security;
  const bool non_root =
      Either(own.run_as_non_root, pod.spec.security.run_as_non_root).value_or(false);
  const std::string where =
      fmt::format("(pod: \"{}\", container: {})", pod.Format(), inputs.container.name);
  if (const auto uid = Either(own.run_as_user, pod.spec.security.run_as_user)) {
    if (non_root && *uid == 0) {
      return InvalidArgument("container's runAsUser breaks non-root policy " + where);
    }
    return User{.uid = uid};
  }
  // An image that names nobody runs as root.
  const bool named = !inputs.image_uid && !inputs.image_username.empty();
  const User user =
      named ? User{.name = inputs.image_username} : User{.uid = inputs.image_uid.value_or(0)};
  if (non_root && named) {
    return InvalidArgument(
        fmt::format("container has runAsNonRoot and image has non-numeric user ({}), cannot "
                    "verify user is non-root {}",
                    user.name, where));
  }
  if (non_root && *user.uid == 0) {
    return InvalidArgument("container has runAsNonRoot and image will run as root " + where);
  }
  return user;
}

}  // namespace

const std::vector<std::string>& MaskedPaths() {
  static const std::vector<std::string> kPaths = FindMaskedPaths();
  return kPaths;
}

const std::vector<std::string>& ReadonlyPaths() {
  static const std::vector<std::string> kPaths{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
                                               "/proc/sysrq-trigger"};
  return kPaths;
}

cri::SandboxSecurity MakeSandboxSecurity(const kube::Pod& pod) {
  const kube::PodSpec& spec = pod.spec;
  const auto privileged = [](const kube::Container& container) {
    return container.security.privileged.value_or(false);
  };
  cri::SandboxSecurity security;
  security.namespaces = Namespaces(spec);
  security.run_as_user = spec.security.run_as_user;
  security.run_as_group = spec.security.run_as_group;
  security.supplemental_groups = SupplementalGroups(spec.security);
  security.privileged =
      std::any_of(spec.containers.begin(), spec.containers.end(), privileged) ||
      std::any_of(spec.init_containers.begin(), spec.init_containers.end(), privileged);
  return security;
}

Result<cri::ContainerSecurity> MakeContainerSecurity(const kube::Pod& pod,
                                                     const ContainerInputs& inputs,
                                                     const NodeContext& node) {
  const kube::SecurityContext& own = inputs.container.security;
  FARLET_ASSIGN(const User user, ChooseUser(pod, inputs));
  cri::ContainerSecurity security;
  security.capabilities = {.add = own.capabilities_add, .drop = own.capabilities_drop};
  security.privileged = own.privileged.value_or(false);
  security.namespaces = Namespaces(pod.spec);
  security.run_as_user = user.uid;
  security.run_as_username = user.name;
  security.run_as_group = Either(own.run_as_group, pod.spec.security.run_as_group);
  security.supplemental_groups = SupplementalGroups(pod.spec.security);
  security.readonly_rootfs = own.read_only_root_filesystem.value_or(false);
  security.no_new_privs = !own.allow_privilege_escalation.value_or(true);
  security.masked_paths = MaskedPaths();
  security.readonly_paths = ReadonlyPaths();
  security.seccomp = Seccomp(pod, inputs.container, node);
  if (const auto apparmor = Either(own.apparmor, pod.spec.security.apparmor)) {
    security.apparmor = Profile(*apparmor, apparmor->localhost_profile);
  }
  return security;
}

}  // namespace farlet::pod
