#include "provider/pod/etc_hosts.h"
#include "provider/pod/sub_path.h"
#include "provider/pod/volume_paths.h"
#include "provider/pod/volumes.h"
#include "runtime/base/fd.h"
#include "runtime/base/file.h"
#include "runtime/base/log.h"

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <utility>

namespace farlet::pod {
namespace {

constexpr char kHostsPath[] = "/etc/hosts";

Result<cri::MountPropagation> PropagationOf(const std::string& mode) {
  if (mode.empty() || mode == "None") {
    return cri::MountPropagation::kPrivate;
  }
  if (mode == "HostToContainer") {
    return cri::MountPropagation::kHostToContainer;
  }
  if (mode == "Bidirectional") {
    return cri::MountPropagation::kBidirectional;
  }
  return InvalidArgument(fmt::format("invalid MountPropagation mode: \"{}\"", mode));
}

// Files of the API are read-only to containers: they are brought up to date from outside.
bool IsReadOnly(const kube::Volume& volume) {
  return std::holds_alternative<kube::ProjectedVolume>(volume.source);
}

// subPathExpr: a variable that is not set, or empty, is an error.
Result<std::string> ExpandSubPath(const std::string& expression,
                                  const std::vector<cri::EnvVar>& env) {
  std::set<std::string> missing;
  std::string expanded = Expand(expression, [&](const std::string& name) -> std::string {
    const auto found = std::find_if(env.begin(), env.end(),
                                    [&](const cri::EnvVar& item) { return item.name == name; });
    if (found == env.end() || found->value.empty()) {
      missing.insert(name);
      return {};
    }
    return found->value;
  });
  if (!missing.empty()) {
    return InvalidArgument(fmt::format("missing value for {}", fmt::join(missing, ", ")));
  }
  return expanded;
}

class MountMaker {
 public:
  MountMaker(const NodeContext& node,
             const EnvContext& context,
             const kube::Container& container,
             const std::vector<cri::EnvVar>& env)
      : node_(node), context_(context), container_(container), env_(env) {}

  Result<std::vector<cri::Mount>> Make(uint32_t restart_count) && {
    bool own_hosts = false;
    for (size_t i = 0; i < container_.volume_mounts.size(); ++i) {
      FARLET_TRY(AddVolume(container_.volume_mounts[i], i));
      own_hosts = own_hosts || container_.volume_mounts[i].mount_path == kHostsPath;
    }
    if (!own_hosts && (context_.pod.spec.host_network || !context_.pod_ips.empty())) {
      FARLET_ASSIGN(const std::filesystem::path hosts, WriteHostsFile(node_, context_));
      mounts_.push_back({.container_path = kHostsPath, .host_path = hosts.string()});
    }
    if (!container_.termination_message_path.empty()) {
      FARLET_TRY(AddTerminationLog(restart_count));
    }
    return std::move(mounts_);
  }

 private:
  const std::string& Uid() const { return context_.pod.meta.uid; }

  Status AddVolume(const kube::VolumeMount& mount, size_t index) {
    const auto& volumes = context_.pod.spec.volumes;
    const auto volume = std::find_if(volumes.begin(), volumes.end(), [&](const auto& candidate) {
      return candidate.name == mount.name;
    });
    if (volume == volumes.end()) {
      return InvalidArgument(fmt::format("cannot find volume \"{}\" to mount into container \"{}\"",
                                         mount.name, container_.name));
    }
    std::string sub_path = mount.sub_path;
    if (!mount.sub_path_expr.empty()) {
      FARLET_ASSIGN(sub_path, ExpandSubPath(mount.sub_path_expr, env_));
    }
    std::filesystem::path host_path = VolumeDirectory(node_, Uid(), *volume);
    if (!sub_path.empty()) {
      FARLET_TRY(CheckSubPath(sub_path));
      const std::filesystem::path target =
          SubPathTarget(node_, Uid(), mount, container_.name, index);
      FARLET_TRY(Bind(host_path, sub_path, target, mount));
      host_path = target;
    }
    FARLET_ASSIGN(const cri::MountPropagation propagation, PropagationOf(mount.mount_propagation));
    mounts_.push_back({.container_path = mount.mount_path.starts_with('/') ? mount.mount_path
                                                                           : "/" + mount.mount_path,
                       .host_path = host_path.string(),
                       .readonly = mount.read_only || IsReadOnly(*volume),
                       .propagation = propagation});
    return {};
  }

  // The user learns only that it failed: the reason may tell about the host.
  Status Bind(const std::filesystem::path& volume,
              const std::string& sub_path,
              const std::filesystem::path& target,
              const kube::VolumeMount& mount) const {
    const Status bound = BindSubPath(volume, sub_path, target);
    if (bound) {
      return {};
    }
    log::Warning(
        "cannot prepare subPath",
        {{"pod", context_.pod.Format()}, {"container", container_.name}, {"error", bound.error()}});
    return MakeError(bound.error().code,
                     fmt::format("failed to prepare subPath for volumeMount \"{}\" of container "
                                 "\"{}\"",
                                 mount.name, container_.name));
  }

  Status AddTerminationLog(uint32_t restart_count) {
    const std::filesystem::path path = TerminationLog(node_, Uid(), container_.name, restart_count);
    FARLET_TRY(MakeDirectories(path.parent_path(), 0750));
    // A new file for each try, so that nothing of an earlier one is read.
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
      return ErrnoError(errno, "remove " + path.string());
    }
    const UniqueFd fd(
        ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666));
    if (!fd.valid() || ::fchmod(fd.get(), 0666) != 0) {
      return ErrnoError(errno, "create " + path.string());
    }
    mounts_.push_back(
        {.container_path = container_.termination_message_path, .host_path = path.string()});
    return {};
  }

  const NodeContext& node_;
  const EnvContext& context_;
  const kube::Container& container_;
  const std::vector<cri::EnvVar>& env_;
  std::vector<cri::Mount> mounts_;
};

}  // namespace

Result<std::vector<cri::Mount>> MakeMounts(const NodeContext& node,
                                           const EnvContext& context,
                                           const kube::Container& container,
                                           uint32_t restart_count,
                                           const std::vector<cri::EnvVar>& env) {
  return MountMaker(node, context, container, env).Make(restart_count);
}

}  // namespace farlet::pod
