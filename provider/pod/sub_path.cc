#include "provider/pod/sub_path.h"

#include "provider/pod/confined_fs.h"
#include "runtime/base/fd.h"
#include "runtime/base/file.h"

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace farlet::pod {
namespace {

// Sticky is the volume's own.
constexpr mode_t kInheritedBits = 02777;
constexpr mode_t kPrivateFolder = 0750;

Result<UniqueFd> MakeChild(int parent, const std::string& name, mode_t mode) {
  if (::mkdirat(parent, name.c_str(), 0700) != 0 && errno != EEXIST) {
    return ErrnoError(errno, "create folder " + name);
  }
  UniqueFd child(::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!child.valid() || ::fchmod(child.get(), mode) != 0) {
    return ErrnoError(errno, "open folder " + name);
  }
  return child;
}

// Opens `path` beneath the volume, or makes what is missing of it.
Result<UniqueFd> OpenOrMake(int volume, const std::filesystem::path& path) {
  Result<UniqueFd> found = OpenBeneath(volume, path.string(), O_PATH);
  if (found || found.error().code != Code::kNotFound) {
    return found;
  }

  struct stat info {};

  if (::fstat(volume, &info) != 0) {
    return ErrnoError(errno, "stat the volume");
  }
  const mode_t mode = info.st_mode & kInheritedBits;
  UniqueFd current;
  std::filesystem::path done;
  bool making = false;
  for (const auto& part : path) {
    done /= part;
    const int parent = current.valid() ? current.get() : volume;
    if (!making) {
      Result<UniqueFd> next = OpenBeneath(volume, done.string(), O_RDONLY | O_DIRECTORY);
      if (next) {
        current = *std::move(next);
        continue;
      }
      if (next.error().code != Code::kNotFound) {
        return next;
      }
      making = true;
    }
    FARLET_ASSIGN(UniqueFd child, MakeChild(parent, part.string(), mode));
    current = std::move(child);
  }
  return current;
}

Status MakeTarget(const std::filesystem::path& target, bool folder) {
  FARLET_TRY(MakeDirectories(target.parent_path(), kPrivateFolder));
  FARLET_ASSIGN(const bool mounted, IsMountPoint(target));
  if (mounted && ::umount2(target.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) != 0) {
    return ErrnoError(errno, "unmount " + target.string());
  }
  // The last instance may have had a file where there is a folder now.
  if (folder) {
    ::unlink(target.c_str());
    return MakeFolder(target, kPrivateFolder);
  }
  ::rmdir(target.c_str());
  const UniqueFd file(::open(target.c_str(), O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0640));
  return file.valid() ? Status() : ErrnoError(errno, "create " + target.string());
}

std::filesystem::path Clean(const std::string& sub_path) {
  std::filesystem::path clean;
  for (const auto& part : std::filesystem::path(sub_path)) {
    if (!part.empty() && part != ".") {
      clean /= part;
    }
  }
  return clean.empty() ? "." : clean;
}

}  // namespace

Status CheckSubPath(const std::string& sub_path) {
  if (sub_path.starts_with('/')) {
    return InvalidArgument(
        fmt::format("error SubPath `{}` must not be an absolute path", sub_path));
  }
  for (const auto& part : std::filesystem::path(sub_path)) {
    if (part == "..") {
      return InvalidArgument(
          fmt::format("unable to provision SubPath `{}`: must not contain '..'", sub_path));
    }
  }
  return {};
}

Status BindSubPath(const std::filesystem::path& volume,
                   const std::string& sub_path,
                   const std::filesystem::path& target) {
  FARLET_TRY(CheckSubPath(sub_path));
  FARLET_ASSIGN(const UniqueFd root, OpenFolder(volume));
  FARLET_ASSIGN(const UniqueFd source, OpenOrMake(root.get(), Clean(sub_path)));

  struct stat info {};

  if (::fstat(source.get(), &info) != 0) {
    return ErrnoError(errno, "stat " + sub_path);
  }
  FARLET_TRY(MakeTarget(target, S_ISDIR(info.st_mode)));
  const std::string path = fmt::format("/proc/self/fd/{}", source.get());
  if (::mount(path.c_str(), target.c_str(), nullptr, MS_BIND, nullptr) != 0) {
    return ErrnoError(errno, fmt::format("bind {} to {}", sub_path, target.string()));
  }
  return {};
}

}  // namespace farlet::pod
