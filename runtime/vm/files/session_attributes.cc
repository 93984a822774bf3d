// GETATTR, SETATTR, READLINK, STATFS.
#include "runtime/vm/files/file_access.h"
#include "runtime/vm/files/session.h"

#include <fcntl.h>
#include <sys/fsuid.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>

namespace farlet::files {
namespace {

constexpr uint32_t kNanosecondsPerMillisecond = 1'000'000;
constexpr size_t kMaxDevices = 0xffff;

// The kernel's 32 bit form: 12 bits major, 20 bits minor of which 8 are at the bottom.
uint32_t DeviceNumber(uint32_t major, uint32_t minor) {
  return (minor & 0xffU) | (major << 8U) | ((minor & ~0xffU) << 12U);
}

timespec TimeToSet(uint32_t valid, uint32_t given, uint32_t now, uint64_t sec, uint32_t nsec) {
  if ((valid & given) == 0) {
    return {.tv_sec = 0, .tv_nsec = UTIME_OMIT};
  }
  if ((valid & now) != 0) {
    return {.tv_sec = 0, .tv_nsec = UTIME_NOW};
  }
  return {.tv_sec = static_cast<time_t>(sec), .tv_nsec = static_cast<long>(nsec)};
}

int SetTimes(int proc_fds, int fd, const fuse_setattr_in& wanted) {
  const std::array<timespec, 2> times{
      TimeToSet(wanted.valid, FATTR_ATIME, FATTR_ATIME_NOW, wanted.atime, wanted.atimensec),
      TimeToSet(wanted.valid, FATTR_MTIME, FATTR_MTIME_NOW, wanted.mtime, wanted.mtimensec)};
  return ::utimensat(proc_fds, ProcName(fd).text.data(), times.data(), 0) == 0 ? 0 : errno;
}

// Without CAP_FSETID a set-group-ID bit lasts only if the file's group is the caller's own.
int SetMode(int proc_fds, int fd, uint32_t mode) {
  struct statx description {};

  if (const int error = Describe(fd, description); error != 0) {
    return error;
  }
  if (S_ISLNK(description.stx_mode)) {
    return EOPNOTSUPP;
  }
  ::setfsgid(description.stx_gid);
  const int error =
      ::fchmodat(proc_fds, ProcName(fd).text.data(), mode & 07777U, 0) == 0 ? 0 : errno;
  ::setfsgid(0);
  return error;
}

}  // namespace

uint64_t Session::InodeOf(uint64_t device, uint64_t inode) {
  auto found = devices_.find(device);
  if (found == devices_.end()) {
    if (devices_.size() >= kMaxDevices) {
      return inode;
    }
    found = devices_.emplace(device, devices_.size()).first;
  }
  return inode ^ (found->second << 48U);
}

fuse_attr Session::AttributesOf(const struct statx& description) {
  fuse_attr attributes{};
  attributes.ino = InodeOf(KeyOf(description).device, description.stx_ino);
  attributes.size = description.stx_size;
  attributes.blocks = description.stx_blocks;
  attributes.atime = static_cast<uint64_t>(description.stx_atime.tv_sec);
  attributes.mtime = static_cast<uint64_t>(description.stx_mtime.tv_sec);
  attributes.ctime = static_cast<uint64_t>(description.stx_ctime.tv_sec);
  attributes.atimensec = description.stx_atime.tv_nsec;
  attributes.mtimensec = description.stx_mtime.tv_nsec;
  attributes.ctimensec = description.stx_ctime.tv_nsec;
  attributes.mode = description.stx_mode;
  attributes.nlink = description.stx_nlink;
  attributes.uid = description.stx_uid;
  attributes.gid = description.stx_gid;
  attributes.rdev = DeviceNumber(description.stx_rdev_major, description.stx_rdev_minor);
  attributes.blksize = description.stx_blksize;
  return attributes;
}

fuse_attr_out Session::AttributeAnswer(const struct statx& description) {
  fuse_attr_out answer{};
  answer.attr_valid = static_cast<uint64_t>(options_.cache_time.count() / 1000);
  answer.attr_valid_nsec =
      static_cast<uint32_t>(options_.cache_time.count() % 1000) * kNanosecondsPerMillisecond;
  answer.attr = AttributesOf(description);
  return answer;
}

int Session::GetAttributes(Request& request) {
  const auto wanted = request.Take<fuse_getattr_in>();
  if (!wanted) {
    return EINVAL;
  }

  struct statx description {};

  // By the handle when there is one: a file that was removed has no name to be found again by.
  const files::Handle* handle =
      (wanted->getattr_flags & FUSE_GETATTR_FH) != 0 ? handles_.Find(wanted->fh, false) : nullptr;
  int error = 0;
  if (handle != nullptr) {
    error = Describe(handle->fd.get(), description);
  } else {
    Node* node = nullptr;
    error = FindDescribed(request.node(), node, description);
  }
  if (error == 0) {
    reply_.Add(AttributeAnswer(description));
  }
  return error;
}

int Session::Resize(const Node& node, const fuse_setattr_in& wanted) {
  if (wanted.size > static_cast<uint64_t>(LLONG_MAX)) {
    return EINVAL;
  }
  if ((wanted.valid & FATTR_FH) != 0) {
    if (const files::Handle* handle = handles_.Find(wanted.fh, false); handle != nullptr) {
      return ::ftruncate(handle->fd.get(), static_cast<off_t>(wanted.size)) == 0 ? 0 : errno;
    }
    return EBADF;
  }

  struct statx description {};

  UniqueFd file;
  int error = Describe(node.fd.get(), description);
  if (error == 0) {
    error = S_ISDIR(description.stx_mode)
                ? EISDIR
                : Reopen(roots_.proc_fds.get(), node.fd.get(), description, O_WRONLY, file);
  }
  if (error != 0) {
    return error;
  }
  return ::ftruncate(file.get(), static_cast<off_t>(wanted.size)) == 0 ? 0 : errno;
}

int Session::Change(const Node& node, const fuse_setattr_in& wanted) {
  const int fd = node.fd.get();
  if ((wanted.valid & (FATTR_UID | FATTR_GID)) != 0) {
    const uid_t uid = (wanted.valid & FATTR_UID) != 0 ? wanted.uid : static_cast<uid_t>(-1);
    const gid_t gid = (wanted.valid & FATTR_GID) != 0 ? wanted.gid : static_cast<gid_t>(-1);
    if (::fchownat(fd, "", uid, gid, AT_EMPTY_PATH) != 0) {
      return errno;
    }
  }
  int error = 0;
  if ((wanted.valid & FATTR_SIZE) != 0) {
    error = Resize(node, wanted);
  }
  // After owner and size, which take set-ID bits away.
  if (error == 0 && (wanted.valid & FATTR_MODE) != 0) {
    error = SetMode(roots_.proc_fds.get(), fd, wanted.mode);
  }
  if (error == 0 && (wanted.valid & (FATTR_ATIME | FATTR_MTIME)) != 0) {
    error = SetTimes(roots_.proc_fds.get(), fd, wanted);
  }
  return error;
}

int Session::SetAttributes(Request& request) {
  const auto wanted = request.Take<fuse_setattr_in>();
  if (!wanted) {
    return EINVAL;
  }
  Node* node = nullptr;
  int error = FindWritable(request.node(), node);
  if (error == 0) {
    error = Change(*node, *wanted);
  }

  struct statx description {};

  if (error == 0) {
    error = Describe(node->fd.get(), description);
  }
  if (error == 0) {
    reply_.Add(AttributeAnswer(description));
  }
  return error;
}

int Session::ReadLink(Request& request) {
  Node* node = nullptr;
  if (const int error = nodes_.Find(request.node(), node); error != 0) {
    return error;
  }
  const std::span<std::byte> room = reply_.Room(PATH_MAX);
  const ssize_t size =
      ::readlinkat(node->fd.get(), "", reinterpret_cast<char*>(room.data()), room.size());
  if (size < 0) {
    return errno == ENOENT ? EINVAL : errno;  // ENOENT: it is no symlink
  }
  reply_.Grow(static_cast<size_t>(size));
  return 0;
}

int Session::StatFileSystem(Request& request) {
  Node* node = nullptr;
  if (const int error = nodes_.Find(request.node(), node); error != 0) {
    return error;
  }

  struct statfs info {};

  if (::fstatfs(node->fd.get(), &info) != 0) {
    return errno;
  }
  fuse_statfs_out answer{};
  answer.st.blocks = info.f_blocks;
  answer.st.bfree = info.f_bfree;
  answer.st.bavail = info.f_bavail;
  answer.st.files = info.f_files;
  answer.st.ffree = info.f_ffree;
  answer.st.bsize = static_cast<uint32_t>(info.f_bsize);
  answer.st.namelen = static_cast<uint32_t>(info.f_namelen);
  answer.st.frsize = static_cast<uint32_t>(info.f_frsize);
  reply_.Add(answer);
  return 0;
}

}  // namespace farlet::files
