#include "runtime/vm/files/share_tree.h"

#include <fmt/format.h>

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <system_error>
#include <thread>
#include <utility>

namespace farlet::files {
namespace {

// Only mount points lie in it.
constexpr const char* kTreeOptions = "mode=0755,size=64k,nr_inodes=4096";

// Where it is built: any folder will do that is there for sure.
constexpr const char* kPlace = "/proc";

// Mounts need a file system of the calling thread's own: a thread, so that nobody else is moved.
Status OnOwnThread(const std::function<Status()>& step) {
  Status result;
  try {
    std::thread([&] {
      result = ::unshare(CLONE_FS) == 0 ? step() : ErrnoError(errno, "unshare file system state");
    }).join();
  } catch (const std::system_error& error) {
    return MakeError(Code::kResourceExhausted, std::string("start thread: ") + error.what());
  }
  return result;
}

// Makes the calling thread's new namespace hold nothing but an empty tree.
Status BuildTree() {
  // Nothing that happens here reaches the host.
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return ErrnoError(errno, "make mounts private");
  }
  if (::mount("farlet", kPlace, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, kTreeOptions) != 0) {
    return ErrnoError(errno, "mount tmpfs");
  }
  if (::chdir(kPlace) != 0 || ::mkdir("s", 0755) != 0 || ::chmod("s", 0755) != 0) {
    return ErrnoError(errno, "make folder s");
  }
  // The old root is stacked upon the new one and taken away: pivot_root(2).
  if (::syscall(SYS_pivot_root, ".", ".") != 0) {
    return ErrnoError(errno, "pivot_root");
  }
  if (::umount2(".", MNT_DETACH) != 0) {
    return ErrnoError(errno, "unmount the host's root");
  }
  return {};
}

Status MakeNamespace(UniqueFd& mount_namespace) {
  if (::unshare(CLONE_NEWNS) != 0) {
    return ErrnoError(errno, "make mount namespace");
  }
  // Before the host's /proc is out of sight.
  UniqueFd opened(::open("/proc/thread-self/ns/mnt", O_RDONLY | O_CLOEXEC));
  if (!opened.valid()) {
    return ErrnoError(errno, "open mount namespace");
  }
  FARLET_TRY(BuildTree());
  mount_namespace = std::move(opened);
  return {};
}

Status SetAttributes(int tree, mount_attr attributes, unsigned recursive) {
  if (::syscall(SYS_mount_setattr, tree, "", static_cast<unsigned>(AT_EMPTY_PATH) | recursive,
                &attributes, sizeof(attributes)) != 0) {
    return ErrnoError(errno, "set mount attributes");
  }
  return {};
}

Status SetAttributes(int tree, const ShareOptions& options) {
  constexpr unsigned kRecursive = AT_RECURSIVE;
  constexpr uint64_t kSlave = MS_SLAVE;
  constexpr uint64_t kPrivate = MS_PRIVATE;
  FARLET_TRY(SetAttributes(tree,
                           {.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
                            .propagation = options.follow_mounts ? kSlave : kPrivate},
                           kRecursive));
  if (!options.read_only) {
    return {};
  }
  return SetAttributes(tree, {.attr_set = MOUNT_ATTR_RDONLY},
                       options.writable_below ? 0u : kRecursive);
}

std::string EntryPath(uint32_t number) {
  return fmt::format("/s/{}", number);
}

Status MakePlace(const std::string& path, bool folder) {
  if (folder) {
    return ::mkdir(path.c_str(), 0755) == 0 ? Status()
                                            : Status(ErrnoError(errno, "make folder " + path));
  }
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  return file.valid() ? Status() : Status(ErrnoError(errno, "make file " + path));
}

// Takes the entry away as far as it is there.
Status Clear(const std::string& path, bool folder) {
  if (::umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) != 0 && errno != EINVAL &&
      errno != ENOENT) {
    return ErrnoError(errno, "unmount " + path);
  }
  if ((folder ? ::rmdir(path.c_str()) : ::unlink(path.c_str())) != 0 && errno != ENOENT) {
    return ErrnoError(errno, "remove " + path);
  }
  return {};
}

Status MoveMount(int source, const std::string& path, bool folder) {
  FARLET_TRY(MakePlace(path, folder));
  if (::syscall(SYS_move_mount, source, "", AT_FDCWD, path.c_str(), MOVE_MOUNT_F_EMPTY_PATH) != 0) {
    Error error = ErrnoError(errno, "mount on " + path);
    (void)Clear(path, folder);
    return error;
  }
  return {};
}

Status EnterAndDo(int mount_namespace, const std::function<Status()>& step) {
  return OnOwnThread([&]() -> Status {
    if (::setns(mount_namespace, CLONE_NEWNS) != 0) {
      return ErrnoError(errno, "enter mount namespace");
    }
    return step();
  });
}

}  // namespace

Result<std::unique_ptr<ShareTree>> ShareTree::Create() {
  UniqueFd mount_namespace;
  const Status made = OnOwnThread([&] { return MakeNamespace(mount_namespace); });
  FARLET_TRY(Annotate(made, "make share tree"));
  return std::unique_ptr<ShareTree>(new ShareTree(std::move(mount_namespace)));
}

Result<Share> ShareTree::Add(const std::filesystem::path& host_path, ShareOptions options) {
  const std::string what = "share " + host_path.string();
  const UniqueFd source(static_cast<int>(
      ::syscall(SYS_open_tree, AT_FDCWD, host_path.c_str(),
                OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | static_cast<unsigned>(AT_RECURSIVE))));
  if (!source.valid()) {
    return ErrnoError(errno, what);
  }

  struct stat info {};

  if (::fstat(source.get(), &info) != 0) {
    return ErrnoError(errno, what);
  }
  FARLET_TRY(Annotate(SetAttributes(source.get(), options), what));
  const bool folder = S_ISDIR(info.st_mode);
  const std::lock_guard lock(mutex_);
  if (shares_.size() >= kMaxShares) {
    return MakeError(Code::kResourceExhausted,
                     fmt::format("{}: a pod can have {} shares", what, kMaxShares));
  }
  const uint32_t number = next_++;
  const std::string path = EntryPath(number);
  const Status mounted =
      EnterAndDo(namespace_.get(), [&] { return MoveMount(source.get(), path, folder); });
  FARLET_TRY(Annotate(mounted, what));
  shares_[number] = folder;
  return Share{.number = number, .path = path.substr(1)};
}

Status ShareTree::Remove(uint32_t number) {
  const std::lock_guard lock(mutex_);
  const auto found = shares_.find(number);
  if (found == shares_.end()) {
    return {};
  }
  FARLET_TRY(Annotate(
      EnterAndDo(namespace_.get(), [&] { return Clear(EntryPath(number), found->second); }),
      fmt::format("remove share {}", number)));
  shares_.erase(found);
  return {};
}

}  // namespace farlet::files
