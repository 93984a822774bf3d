#include "provider/pod/empty_dir.h"

#include "provider/pod/confined_fs.h"
#include "provider/pod/resources.h"
#include "runtime/base/undo.h"

#include <fmt/format.h>

#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>

namespace farlet::pod {
namespace {

// fsGroup: reading, writing, searching, and new files belong to the group.
constexpr mode_t kGroupBits = 02770;
// As the kernel makes a tmpfs: everybody may write, only owners may delete.
constexpr mode_t kSticky = 01000;

mode_t ModeOf(const FolderOptions& options) {
  return options.mode | (options.group ? kGroupBits : 0U);
}

int64_t Bytes(const kube::ResourceList& list) {
  const auto found = list.find("memory");
  return found == list.end() ? 0 : found->second.value();
}

bool AllLimited(const kube::PodSpec& spec) {
  return std::all_of(
      spec.containers.begin(), spec.containers.end(),
      [](const kube::Container& container) { return Bytes(container.resources.limits) > 0; });
}

}  // namespace

Status MakeVolumeFolder(const std::filesystem::path& path, const FolderOptions& options) {
  struct stat info {};

  if (::lstat(path.c_str(), &info) == 0) {
    return S_ISDIR(info.st_mode)
               ? Status()
               : Status(Internal("make volume " + path.string() + ": is not a folder"));
  }
  std::string temporary = (path.parent_path() / ".new-XXXXXX").string();
  if (::mkdtemp(temporary.data()) == nullptr) {
    return ErrnoError(errno, "create folder " + temporary);
  }
  Undo remove([&] { ::rmdir(temporary.c_str()); });
  if (options.group && ::chown(temporary.c_str(), static_cast<uid_t>(-1), *options.group) != 0) {
    return ErrnoError(errno, "change group of " + temporary);
  }
  if (::chmod(temporary.c_str(), ModeOf(options)) != 0) {
    return ErrnoError(errno, "chmod " + temporary);
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    return ErrnoError(errno, "rename " + temporary + " to " + path.string());
  }
  remove.Dismiss();
  return {};
}

Status MakeMemoryFolder(const std::filesystem::path& path,
                        const FolderOptions& options,
                        int64_t size_bytes) {
  FARLET_TRY(MakeFolder(path, 0755));
  FARLET_ASSIGN(const bool mounted, IsMountPoint(path));
  if (mounted) {
    return {};
  }
  std::string data = fmt::format("mode={:o}", ModeOf(options) | kSticky);
  if (options.group) {
    data += fmt::format(",gid={}", *options.group);
  }
  if (size_bytes > 0) {
    data += fmt::format(",size={}", size_bytes);
  }
  const auto mount = [&](const std::string& with) {
    return ::mount("tmpfs", path.c_str(), "tmpfs", 0, with.c_str()) == 0;
  };
  // Kernels before 6.4 do not know "noswap".
  if (mount(data + ",noswap") || (errno == EINVAL && mount(data))) {
    return {};
  }
  return ErrnoError(errno, "mount tmpfs on " + path.string());
}

int64_t MemoryVolumeSize(const kube::EmptyDirVolume& volume,
                         const kube::PodSpec& spec,
                         const kube::ResourceList& allocatable) {
  int64_t size = 0;
  const auto cut = [&](int64_t limit) {
    if (limit > 0 && (size == 0 || limit < size)) {
      size = limit;
    }
  };
  cut(Bytes(allocatable));
  if (AllLimited(spec)) {
    cut(Bytes(PodLimits(spec)));
  }
  cut(volume.size_limit.value_or(kube::Quantity()).value());
  return size;
}

Status MakeEmptyDir(const std::filesystem::path& path,
                    const kube::EmptyDirVolume& volume,
                    const kube::Pod& pod,
                    const kube::ResourceList& allocatable) {
  FolderOptions options;
  if (pod.spec.security.fs_group) {
    options.group = static_cast<gid_t>(*pod.spec.security.fs_group);
  }
  if (volume.medium.empty()) {
    return MakeVolumeFolder(path, options);
  }
  if (volume.medium == "Memory") {
    return MakeMemoryFolder(path, options, MemoryVolumeSize(volume, pod.spec, allocatable));
  }
  return InvalidArgument(fmt::format("storage medium \"{}\" is not supported", volume.medium));
}

}  // namespace farlet::pod
