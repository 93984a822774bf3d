// Open files: what is read from them and written to them.
#include "runtime/vm/files/file_access.h"
#include "runtime/vm/files/session.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>

namespace farlet::files {
namespace {

constexpr uint32_t kDataOnly = 1;  // FUSE_FSYNC_FDATASYNC
constexpr uint32_t kAllocateModes =
    FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE;
// One request holds up all others: a longer copy is done in parts.
constexpr uint64_t kMaxCopy = 16u << 20;
// Coarser than any file system's time stamps.
constexpr int64_t kSettledNs = 2'000'000'000;

OpenStamp StampOf(const struct statx& description) {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  OpenStamp stamp{
      .mtime_ns = Nanoseconds(description.stx_mtime.tv_sec, description.stx_mtime.tv_nsec),
      .ctime_ns = Nanoseconds(description.stx_ctime.tv_sec, description.stx_ctime.tv_nsec),
      .size = description.stx_size};
  stamp.settled = Nanoseconds(now.tv_sec, now.tv_nsec) - stamp.ctime_ns > kSettledNs;
  return stamp;
}

// Puts O_APPEND aside while a page that the guest has mapped goes back to where it came from.
class WithoutAppend {
 public:
  WithoutAppend(int fd, bool wanted) : fd_(wanted ? fd : -1) {
    if (fd_ >= 0) {
      flags_ = ::fcntl(fd_, F_GETFL);
      ::fcntl(fd_, F_SETFL, flags_ & ~O_APPEND);
    }
  }

  ~WithoutAppend() {
    if (fd_ >= 0) {
      ::fcntl(fd_, F_SETFL, flags_);
    }
  }

  WithoutAppend(const WithoutAppend&) = delete;
  WithoutAppend& operator=(const WithoutAppend&) = delete;

 private:
  int fd_;
  int flags_ = 0;
};

}  // namespace

int Session::Open(Request& request) {
  const auto wanted = request.Take<fuse_open_in>();
  if (!wanted) {
    return EINVAL;
  }
  Node* node = nullptr;

  struct statx description {};

  int error = FindDescribed(request.node(), node, description);
  if (error == 0 && S_ISDIR(description.stx_mode)) {
    error = EISDIR;
  }
  files::Handle handle{.append = (wanted->flags & O_APPEND) != 0};
  if (error == 0) {
    error = Reopen(roots_.proc_fds.get(), node->fd.get(), description,
                   static_cast<int>(wanted->flags & kOpenFlags), handle.fd);
  }
  if (error == 0) {
    error = Describe(handle.fd.get(), description);
  }
  fuse_open_out answer{};
  if (error == 0) {
    error = handles_.Add(std::move(handle), answer.fh);
  }
  if (error != 0) {
    return error;
  }
  const OpenStamp stamp = StampOf(description);
  if (node->opened.settled && node->opened.SameAs(stamp)) {
    answer.open_flags |= FOPEN_KEEP_CACHE;
  }
  node->opened = stamp;
  reply_.Add(answer);
  return 0;
}

int Session::Read(Request& request) {
  const auto wanted = request.Take<fuse_read_in>();
  if (!wanted || wanted->size > kMaxWrite) {
    return EINVAL;  // a short answer would mean the end of the file
  }
  const files::Handle* handle = handles_.Find(wanted->fh, false);
  if (handle == nullptr) {
    return EBADF;
  }
  std::span<std::byte> room = reply_.Room(wanted->size);
  auto offset = static_cast<off_t>(wanted->offset);
  while (!room.empty()) {
    const ssize_t count = ::pread(handle->fd.get(), room.data(), room.size(), offset);
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count < 0) {
      return errno;
    }
    if (count == 0) {
      break;
    }
    reply_.Grow(static_cast<size_t>(count));
    room = room.subspan(static_cast<size_t>(count));
    offset += count;
  }
  return 0;
}

int Session::Write(Request& request) {
  const auto wanted = request.Take<fuse_write_in>();
  if (!wanted || wanted->size > kMaxWrite || request.rest().size() < wanted->size) {
    return EINVAL;
  }
  const files::Handle* handle = handles_.Find(wanted->fh, false);
  if (handle == nullptr) {
    return EBADF;
  }
  const WithoutAppend in_place(handle->fd.get(),
                               handle->append && (wanted->write_flags & FUSE_WRITE_CACHE) != 0);
  Bytes data = request.rest().subspan(0, wanted->size);
  auto offset = static_cast<off_t>(wanted->offset);
  fuse_write_out answer{};
  while (!data.empty()) {
    const ssize_t count = ::pwrite(handle->fd.get(), data.data(), data.size(), offset);
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count <= 0) {
      if (answer.size > 0) {
        break;  // what was written counts; the next write meets the error again
      }
      return count < 0 ? errno : EIO;
    }
    answer.size += static_cast<uint32_t>(count);
    data = data.subspan(static_cast<size_t>(count));
    offset += count;
  }
  reply_.Add(answer);
  return 0;
}

int Session::Flush(Request& request) {
  const auto wanted = request.Take<fuse_flush_in>();
  if (!wanted) {
    return EINVAL;
  }
  const files::Handle* handle = handles_.Find(wanted->fh, false);
  if (handle == nullptr) {
    return EBADF;
  }
  // A close tells what a network file system could not write; the guest's close shall hear it.
  const int copy = ::fcntl(handle->fd.get(), F_DUPFD_CLOEXEC, 0);
  return copy >= 0 && ::close(copy) == 0 ? 0 : errno;
}

int Session::Sync(Request& request, bool folder) {
  const auto wanted = request.Take<fuse_fsync_in>();
  if (!wanted) {
    return EINVAL;
  }
  const files::Handle* handle = handles_.Find(wanted->fh, folder);
  if (handle == nullptr) {
    return EBADF;
  }
  const int fd = handle->fd.get();
  return ((wanted->fsync_flags & kDataOnly) != 0 ? ::fdatasync(fd) : ::fsync(fd)) == 0 ? 0 : errno;
}

int Session::Release(Request& request) {
  if (const auto wanted = request.Take<fuse_release_in>()) {
    handles_.Remove(wanted->fh);
    return 0;
  }
  return EINVAL;
}

int Session::Allocate(Request& request) {
  const auto wanted = request.Take<fuse_fallocate_in>();
  if (!wanted) {
    return EINVAL;
  }
  const files::Handle* handle = handles_.Find(wanted->fh, false);
  if (handle == nullptr) {
    return EBADF;
  }
  if ((wanted->mode & ~kAllocateModes) != 0) {
    return EOPNOTSUPP;
  }
  return ::fallocate(handle->fd.get(), static_cast<int>(wanted->mode),
                     static_cast<off_t>(wanted->offset), static_cast<off_t>(wanted->length)) == 0
             ? 0
             : errno;
}

int Session::Seek(Request& request) {
  const auto wanted = request.Take<fuse_lseek_in>();
  if (!wanted || (wanted->whence != SEEK_DATA && wanted->whence != SEEK_HOLE)) {
    return EINVAL;
  }
  const files::Handle* handle = handles_.Find(wanted->fh, false);
  if (handle == nullptr) {
    return EBADF;
  }
  const off_t position = ::lseek(handle->fd.get(), static_cast<off_t>(wanted->offset),
                                 static_cast<int>(wanted->whence));
  if (position < 0) {
    return errno;
  }
  reply_.Add(fuse_lseek_out{.offset = static_cast<uint64_t>(position)});
  return 0;
}

int Session::CopyRange(Request& request) {
  const auto wanted = request.Take<fuse_copy_file_range_in>();
  if (!wanted || wanted->flags != 0) {
    return EINVAL;
  }
  const files::Handle* from = handles_.Find(wanted->fh_in, false);
  const files::Handle* to = handles_.Find(wanted->fh_out, false);
  if (from == nullptr || to == nullptr) {
    return EBADF;
  }
  auto offset_in = static_cast<off64_t>(wanted->off_in);
  auto offset_out = static_cast<off64_t>(wanted->off_out);
  const ssize_t copied = ::copy_file_range(from->fd.get(), &offset_in, to->fd.get(), &offset_out,
                                           std::min(wanted->len, kMaxCopy), 0);
  if (copied < 0) {
    return errno;
  }
  reply_.Add(fuse_write_out{.size = static_cast<uint32_t>(copied)});
  return 0;
}

}  // namespace farlet::files
