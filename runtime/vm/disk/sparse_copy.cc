#include "runtime/vm/disk/sparse_copy.h"

#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

namespace farlet::disk {
namespace {

constexpr size_t kBufferBytes = 256u << 10;

Status CopyRange(int from, int to, off_t begin, off_t end, std::vector<std::byte>& buffer) {
  while (begin < end) {
    const size_t wanted = std::min<size_t>(buffer.size(), static_cast<size_t>(end - begin));
    const ssize_t count = ::pread(from, buffer.data(), wanted, begin);
    if (count == 0) {
      return {};
    }
    if (count < 0) {
      return ErrnoError(errno, "read");
    }
    for (ssize_t done = 0; done < count;) {
      const ssize_t written =
          ::pwrite(to, buffer.data() + done, static_cast<size_t>(count - done), begin + done);
      if (written <= 0) {
        return ErrnoError(written < 0 ? errno : EIO, "write");
      }
      done += written;
    }
    begin += count;
  }
  return {};
}

}  // namespace

Status SparseCopy(int from, int to) {
  if (::ioctl(to, FICLONE, from) == 0) {
    return {};
  }

  struct stat info {};

  if (::fstat(from, &info) != 0) {
    return ErrnoError(errno, "stat");
  }
  if (::ftruncate(to, info.st_size) != 0) {
    return ErrnoError(errno, "extend");
  }
  std::vector<std::byte> buffer(kBufferBytes);
  off_t end = 0;
  while (end < info.st_size) {
    const off_t begin = ::lseek(from, end, SEEK_DATA);
    if (begin < 0) {
      return errno == ENXIO ? Status() : Status(ErrnoError(errno, "find data"));
    }
    end = ::lseek(from, begin, SEEK_HOLE);
    if (end < 0) {
      return ErrnoError(errno, "find hole");
    }
    FARLET_TRY(CopyRange(from, to, begin, end, buffer));
  }
  return {};
}

}  // namespace farlet::disk
