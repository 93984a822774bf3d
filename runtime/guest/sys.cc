#include "runtime/guest/sys.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>

namespace farlet::guest {
namespace {

// BLKFLSBUF; <linux/fs.h> does not go together with <sys/mount.h> in glibc 2.36.
constexpr unsigned long kFlushBuffers = _IO(0x12, 97);

}  // namespace

Status MakePath(const std::string& path, mode_t mode) {
  size_t slash = 0;
  do {
    slash = path.find('/', slash + 1);
    const std::string part = path.substr(0, slash);
    if (::mkdir(part.c_str(), mode) != 0 && errno != EEXIST) {
      const int mkdir_error = errno;

      struct stat info {};

      // A read-only file system says so before it says that the folder is there.
      if (::stat(part.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) {
        return ErrnoError(mkdir_error, "create folder " + part);
      }
    }
  } while (slash != std::string::npos);
  return {};
}

Status Mount(const std::string& source,
             const std::string& target,
             const std::string& type,
             unsigned long flags,
             const std::string& data) {
  if (::mount(source.c_str(), target.c_str(), type.c_str(), flags, data.c_str()) != 0) {
    return ErrnoError(errno, "mount " + (type.empty() ? source : type) + " on " + target);
  }
  return {};
}

Status MountOnce(const std::string& source,
                 const std::string& target,
                 const std::string& type,
                 unsigned long flags,
                 const std::string& data) {
  FARLET_TRY(MakePath(target));
  // EBUSY: this very file system is there.
  if (::mount(source.c_str(), target.c_str(), type.c_str(), flags, data.c_str()) != 0 &&
      errno != EBUSY) {
    return ErrnoError(errno, "mount " + type + " on " + target);
  }
  return {};
}

Result<UniqueFd> Open(const std::string& path, int flags, mode_t mode) {
  UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC, mode));
  if (!fd.valid()) {
    return ErrnoError(errno, "open " + path);
  }
  return fd;
}

Result<UniqueFd> OpenBeneath(int root, const std::string& path, int flags, mode_t mode) {
  struct open_how how {};

  how.flags = static_cast<uint64_t>(flags | O_CLOEXEC);
  how.mode = mode;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  // RESOLVE_BENEATH says EAGAIN when a rename was under way at the same time.
  for (int tries = 0; tries < 16; ++tries) {
    UniqueFd fd(static_cast<int>(::syscall(SYS_openat2, root, path.c_str(), &how, sizeof how)));
    if (fd.valid()) {
      return fd;
    }
    if (errno != EAGAIN && errno != EINTR) {
      break;
    }
  }
  return ErrnoError(errno, "open " + path);
}

Status SetNonBlocking(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) {
    return ErrnoError(errno, "make a descriptor non-blocking");
  }
  return {};
}

void ForgetCached(const std::string& block_device) {
  if (const auto fd = Open(block_device, O_RDONLY)) {
    ::ioctl(fd->get(), kFlushBuffers, 0);
  }
}

int64_t WallTimeNs() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return int64_t{now.tv_sec} * 1000000000 + now.tv_nsec;
}

}  // namespace farlet::guest
