#include "provider/pod/confined_fs.h"

#include "runtime/base/file.h"

#include <fmt/format.h>

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>
#include <vector>

namespace farlet::pod {
namespace {

// Deeper trees are flattened while they are deleted, so that neither descriptors nor stack run out.
constexpr int kMaxDepth = 64;

struct CloseFolder {
  void operator()(DIR* folder) const { ::closedir(folder); }
};

// Deletes the content of a tree.
class TreeRemover {
 public:
  explicit TreeRemover(std::string root) : root_(std::move(root)) {}

  // Deletes what is in the folder `fd`; repeated until nothing was moved up into it.
  Status Empty(int fd) {
    top_ = fd;
    do {
      moved_ = false;
      FARLET_TRY(EmptyFolder(fd, 0));
    } while (moved_);
    return {};
  }

 private:
  // NOLINTNEXTLINE(concurrency-mt-unsafe): each stream is read by one thread.
  static const dirent* Next(DIR* folder) { return ::readdir(folder); }

  static Result<std::vector<std::string>> List(int fd) {
    const int copy = ::openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const std::unique_ptr<DIR, CloseFolder> folder(copy < 0 ? nullptr : ::fdopendir(copy));
    if (folder == nullptr) {
      return ErrnoError(errno, "list a folder");
    }
    std::vector<std::string> names;
    while (const dirent* entry = Next(folder.get())) {
      const std::string_view name = static_cast<const char*>(entry->d_name);
      if (name != "." && name != "..") {
        names.emplace_back(name);
      }
    }
    return names;
  }

  Status EmptyFolder(int fd, int depth) {
    FARLET_ASSIGN(const std::vector<std::string> names, Annotate(List(fd), root_));
    for (const std::string& name : names) {
      FARLET_TRY(Remove(fd, name, depth));
    }
    return {};
  }

  Status Remove(int parent, const std::string& name, int depth) {
    if (::unlinkat(parent, name.c_str(), 0) == 0 || errno == ENOENT) {
      return {};
    }
    const int first_error = errno;
    const UniqueFd child(
        ::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!child.valid()) {
      return ErrnoError(first_error, fmt::format("delete {} in {}", name, root_));
    }
    FARLET_ASSIGN(const bool mounted, IsMounted(child.get()));
    if (mounted) {
      return MakeError(Code::kFailedPrecondition,
                       fmt::format("delete {} in {}: something is mounted there", name, root_));
    }
    if (depth >= kMaxDepth) {
      return MoveUp(parent, name);
    }
    FARLET_TRY(EmptyFolder(child.get(), depth + 1));
    if (::unlinkat(parent, name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT) {
      // What was moved up is deleted with the rest of the top.
      return ErrnoError(errno, fmt::format("delete folder {} in {}", name, root_));
    }
    return {};
  }

  Status MoveUp(int parent, const std::string& name) {
    const std::string target = fmt::format(".deep-{}", ++counter_);
    if (::renameat(parent, name.c_str(), top_, target.c_str()) != 0) {
      if (errno == EEXIST || errno == ENOTEMPTY || errno == ENOTDIR) {
        return MoveUp(parent, name);
      }
      return ErrnoError(errno, fmt::format("move {} up in {}", name, root_));
    }
    moved_ = true;
    return {};
  }

  static Result<bool> IsMounted(int fd) {
    struct statx info {};

    if (::statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &info) != 0) {
      return ErrnoError(errno, "stat a folder");
    }
    return (info.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
  }

  const std::string root_;
  int top_ = -1;
  bool moved_ = false;
  uint64_t counter_ = 0;
};

}  // namespace

Result<UniqueFd> OpenBeneath(int dir, const std::string& path, int flags) {
  open_how how{};
  how.flags = static_cast<uint64_t>(flags) | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  const auto fd = ::syscall(SYS_openat2, dir, path.c_str(), &how, sizeof(how));
  if (fd < 0) {
    return ErrnoError(errno, "open " + path);
  }
  return UniqueFd(static_cast<int>(fd));
}

Result<UniqueFd> OpenFolder(const std::filesystem::path& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd.valid()) {
    return ErrnoError(errno, "open folder " + path.string());
  }
  return fd;
}

Status MakeFolder(const std::filesystem::path& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) != 0) {
    return errno == EEXIST ? Status() : ErrnoError(errno, "create folder " + path.string());
  }
  if (::chmod(path.c_str(), mode) != 0) {
    return ErrnoError(errno, "chmod " + path.string());
  }
  return {};
}

Result<bool> IsMountPoint(const std::filesystem::path& path) {
  struct statx info {};

  if (::statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &info) != 0) {
    if (errno == ENOENT) {
      return false;
    }
    return ErrnoError(errno, "stat " + path.string());
  }
  return (info.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

Status RemoveTree(const std::filesystem::path& path) {
  const UniqueFd parent(::open(path.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!parent.valid()) {
    return errno == ENOENT ? Status() : ErrnoError(errno, "open " + path.parent_path().string());
  }
  const std::string name = path.filename().string();
  const UniqueFd fd(
      ::openat(parent.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd.valid()) {
    return errno == ENOENT ? Status() : ErrnoError(errno, "open folder " + path.string());
  }
  FARLET_TRY(TreeRemover(path.string()).Empty(fd.get()));
  if (::unlinkat(parent.get(), name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT) {
    return ErrnoError(errno, "delete folder " + path.string());
  }
  return {};
}

Result<std::string> ReadTail(const std::filesystem::path& path, size_t max_bytes) {
  const UniqueFd fd(
      ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!fd.valid()) {
    return ErrnoError(errno, "open " + path.string());
  }

  struct stat info {};

  if (::fstat(fd.get(), &info) != 0) {
    return ErrnoError(errno, "stat " + path.string());
  }
  if (!S_ISREG(info.st_mode)) {
    return InvalidArgument("read " + path.string() + ": is not a regular file");
  }
  const auto size = static_cast<size_t>(std::max<off_t>(info.st_size, 0));
  std::string content(std::min(size, max_bytes), '\0');
  auto offset = static_cast<off_t>(size - content.size());
  size_t filled = 0;
  while (filled < content.size()) {
    const ssize_t count =
        ::pread(fd.get(), content.data() + filled, content.size() - filled, offset);
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count < 0) {
      return ErrnoError(errno, "read " + path.string());
    }
    if (count == 0) {
      break;
    }
    filled += static_cast<size_t>(count);
    offset += count;
  }
  content.resize(filled);
  return content;
}

}  // namespace farlet::pod
