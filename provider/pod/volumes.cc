#include "provider/pod/volumes.h"

#include "provider/pod/atomic_writer.h"
#include "provider/pod/confined_fs.h"
#include "provider/pod/empty_dir.h"
#include "provider/pod/projected_volume.h"
#include "provider/pod/volume_paths.h"
#include "runtime/base/file.h"
#include "runtime/base/mountinfo.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <optional>
#include <set>
#include <utility>

namespace farlet::pod {
namespace {

constexpr mode_t kPrivateFolder = 0750;

std::string CleanPath(const std::string& path) {
  std::string clean = std::filesystem::path("/" + path).lexically_normal().string();
  while (clean.size() > 1 && clean.back() == '/') {
    clean.pop_back();
  }
  return clean;
}

// Other volumes of the same container that are mounted below this one need a folder in it to be
// mounted on, since the runtime cannot make one in a read-only volume.
std::set<std::string> NestedMountPoints(const kube::Volume& volume, const kube::PodSpec& spec) {
  std::set<std::string> nested;
  const auto look = [&](const kube::Container& container) {
    for (const kube::VolumeMount& own : container.volume_mounts) {
      if (own.name != volume.name) {
        continue;
      }
      const std::string base = CleanPath(own.mount_path) + "/";
      for (const kube::VolumeMount& other : container.volume_mounts) {
        const std::string path = CleanPath(other.mount_path);
        if (path.starts_with(base)) {
          nested.insert(path.substr(base.size()));
        }
      }
    }
  };
  std::for_each(spec.init_containers.begin(), spec.init_containers.end(), look);
  std::for_each(spec.containers.begin(), spec.containers.end(), look);
  return nested;
}

Status MakeNestedFolders(const std::filesystem::path& folder,
                         const kube::Volume& volume,
                         const kube::PodSpec& spec) {
  for (const std::string& nested : NestedMountPoints(volume, spec)) {
    std::filesystem::path path = folder;
    for (const auto& part : std::filesystem::path(nested)) {
      path /= part;
      FARLET_TRY(MakeFolder(path, 0755));
    }
  }
  return {};
}

// Again for every volume, since somebody may have unmounted it; one at a time, or two pods' workers
// would mount over each other.
Status MountSecretsRoot(const NodeContext& node) {
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  return MakeMemoryFolder(SecretsRoot(node), {.mode = kPrivateFolder}, 0);
}

Status SetUpFiles(const NodeContext& node,
                  const EnvContext& context,
                  const TokenLookup& tokens,
                  const kube::Volume& volume) {
  const auto& files = std::get<kube::ProjectedVolume>(volume.source);
  // First what may be missing, so that no empty volume is left behind meanwhile.
  FARLET_ASSIGN(const Payload payload, MakePayload(files, context, tokens));
  const std::filesystem::path folder = VolumeDirectory(node, context.pod.meta.uid, volume);
  const std::optional<int64_t> fs_group = context.pod.spec.security.fs_group;
  FARLET_TRY(MakeVolumeFolder(folder, {}));
  FARLET_TRY(MakeNestedFolders(folder, volume, context.pod.spec));
  return WriteAtomically(folder, payload,
                         fs_group ? std::optional(static_cast<gid_t>(*fs_group)) : std::nullopt);
}

Status SetUpVolume(const NodeContext& node,
                   const EnvContext& context,
                   const TokenLookup& tokens,
                   const kube::Volume& volume) {
  if (const auto* other = std::get_if<kube::UnsupportedVolume>(&volume.source)) {
    return InvalidArgument(fmt::format("volumes of type {} are not supported", other->type));
  }
  if (IsSecret(volume)) {
    FARLET_TRY(MountSecretsRoot(node));
  }
  const std::filesystem::path folder = VolumeDirectory(node, context.pod.meta.uid, volume);
  FARLET_TRY(MakeDirectories(folder.parent_path(), kPrivateFolder));
  if (const auto* empty = std::get_if<kube::EmptyDirVolume>(&volume.source)) {
    return MakeEmptyDir(folder, *empty, context.pod, context.node_allocatable);
  }
  return SetUpFiles(node, context, tokens, volume);
}

}  // namespace

Status SetUpVolumes(const NodeContext& node, const EnvContext& context, const TokenLookup& tokens) {
  const std::filesystem::path pod_folder = PodDirectory(node, context.pod.meta.uid);
  FARLET_TRY(MakeDirectories(pod_folder, kPrivateFolder));
  std::optional<Error> waiting;
  for (const kube::Volume& volume : context.pod.spec.volumes) {
    Status set_up = SetUpVolume(node, context, tokens, volume);
    if (set_up) {
      continue;
    }
    Error error = std::move(set_up).error();
    error.message =
        fmt::format("MountVolume.SetUp failed for volume \"{}\" : {}", volume.name, error.message);
    if (error.code != Code::kUnavailable) {
      return error;
    }
    if (!waiting) {
      waiting = std::move(error);
    }
  }
  return waiting ? Status(*std::move(waiting)) : Status();
}

Status RemovePodDirectory(const NodeContext& node, const std::string& uid) {
  // A uid that is a path would lead anywhere.
  if (uid.empty() || uid.front() == '.' || uid.find('/') != std::string::npos) {
    return InvalidArgument(fmt::format("remove folder of pod \"{}\": bad uid", uid));
  }
  FARLET_TRY(Annotate(RemoveTree(SecretsDirectory(node, uid)), "remove secrets of pod " + uid));
  const std::filesystem::path folder = PodDirectory(node, uid);
  // Few pods have mounts of their own, and to look for them is dear where there are many.
  if (RemoveTree(folder)) {
    return {};
  }
  FARLET_TRY(Annotate(UnmountBelow(folder), "remove folder of pod " + uid));
  return Annotate(RemoveTree(folder), "remove folder of pod " + uid);
}

}  // namespace farlet::pod
