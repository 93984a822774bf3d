#include "runtime/base/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <thread>
#include <utility>

namespace farlet {
namespace {

constexpr std::chrono::milliseconds kPoll{10};

bool IsAt(int fd, const std::filesystem::path& path) {
  struct stat held {};

  struct stat there {};

  return ::fstat(fd, &held) == 0 && ::stat(path.c_str(), &there) == 0 &&
         held.st_ino == there.st_ino && held.st_dev == there.st_dev;
}

int Flock(int fd, int operation) {
  int result = 0;
  do {
    result = ::flock(fd, operation);
  } while (result != 0 && errno == EINTR);
  return result;
}

Result<std::optional<UniqueFd>> Get(const std::filesystem::path& path, int operation) {
  while (true) {
    UniqueFd lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!lock.valid()) {
      return ErrnoError(errno, "open lock " + path.string());
    }
    if (Flock(lock.get(), operation) != 0) {
      if (errno == EWOULDBLOCK) {
        return std::optional<UniqueFd>();
      }
      return ErrnoError(errno, "lock " + path.string());
    }
    if (IsAt(lock.get(), path)) {
      return std::optional<UniqueFd>(std::move(lock));
    }
  }
}

int Operation(LockKind kind) {
  return kind == LockKind::kShared ? LOCK_SH : LOCK_EX;
}

}  // namespace

Result<UniqueFd> LockFile(const std::filesystem::path& path, LockKind kind) {
  FARLET_ASSIGN(std::optional<UniqueFd> lock, Get(path, Operation(kind)));
  return std::move(*lock);
}

Result<std::optional<UniqueFd>> TryLockFile(const std::filesystem::path& path, LockKind kind) {
  return Get(path, Operation(kind) | LOCK_NB);
}

Result<UniqueFd> LockFileUntil(const std::filesystem::path& path,
                               LockKind kind,
                               std::chrono::steady_clock::time_point deadline) {
  // flock has no deadline of its own, and a signal would be everybody's.
  while (true) {
    FARLET_ASSIGN(std::optional<UniqueFd> lock, TryLockFile(path, kind));
    if (lock) {
      return std::move(*lock);
    }
    if (std::chrono::steady_clock::now() >= deadline) {
      return MakeError(Code::kDeadlineExceeded,
                       "lock " + path.string() + ": another process holds it for too long");
    }
    std::this_thread::sleep_for(kPoll);
  }
}

}  // namespace farlet
