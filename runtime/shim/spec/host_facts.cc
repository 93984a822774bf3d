#include "runtime/shim/spec/host_facts.h"

#include "runtime/base/file.h"
#include "runtime/base/mountinfo.h"

#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <vector>

namespace farlet::shim {
namespace {

constexpr mode_t kPermissions = 07777;

PathFacts::Type TypeOf(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFDIR:
      return PathFacts::Type::kDirectory;
    case S_IFREG:
      return PathFacts::Type::kFile;
    case S_IFBLK:
    case S_IFCHR:
      return PathFacts::Type::kDevice;
    default:
      return PathFacts::Type::kOther;
  }
}

}  // namespace

Result<PathFacts> RealHostFacts::At(const std::filesystem::path& path) const {
  struct stat info {};

  if (::stat(path.c_str(), &info) != 0) {
    return ErrnoError(errno, "stat " + path.string());
  }

  struct statfs filesystem {};

  if (::statfs(path.c_str(), &filesystem) != 0) {
    return ErrnoError(errno, "statfs " + path.string());
  }
  return PathFacts{.type = TypeOf(info.st_mode),
                   .mode = info.st_mode & kPermissions,
                   .uid = info.st_uid,
                   .gid = info.st_gid,
                   .device_major = major(info.st_rdev),
                   .device_minor = minor(info.st_rdev),
                   .block_device = S_ISBLK(info.st_mode),
                   .tmpfs = filesystem.f_type == TMPFS_MAGIC,
                   .filesystem_bytes = static_cast<uint64_t>(filesystem.f_blocks) *
                                       static_cast<uint64_t>(filesystem.f_bsize)};
}

Result<std::string> RealHostFacts::MountedRoot(const std::filesystem::path& path) const {
  FARLET_ASSIGN(const std::vector<MountInfo> mounts, ReadMountInfo());
  // The last one mounted there is what is seen.
  for (auto mount = mounts.rbegin(); mount != mounts.rend(); ++mount) {
    if (mount->point == path) {
      return mount->root;
    }
  }
  return NotFound(path.string() + " is no mount point");
}

bool RealHostFacts::HasMountsBelow(const std::filesystem::path& path) const {
  std::error_code error;
  const std::string folder = std::filesystem::canonical(path, error).string();
  const Result<std::vector<MountInfo>> mounts = ReadMountInfo();
  if (error || !mounts) {
    return false;
  }
  const std::string below = folder == "/" ? folder : folder + "/";
  return std::any_of(mounts->begin(), mounts->end(), [&](const MountInfo& mount) {
    return mount.point != below && mount.point.native().starts_with(below);
  });
}

}  // namespace farlet::shim
