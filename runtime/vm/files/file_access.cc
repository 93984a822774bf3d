#include "runtime/vm/files/file_access.h"

#include <linux/openat2.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace farlet::files {
namespace {

// openat2 gives EAGAIN when a rename came in between.
constexpr int kOpenTries = 16;

}  // namespace

int OpenEntry(int folder, const char* name, UniqueFd& entry) {
  open_how how{};
  how.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS;
  for (int i = 0; i < kOpenTries; ++i) {
    entry = UniqueFd(static_cast<int>(::syscall(SYS_openat2, folder, name, &how, sizeof(how))));
    if (entry.valid()) {
      return 0;
    }
    if (errno != EAGAIN && errno != EINTR) {
      return errno;
    }
  }
  return EAGAIN;
}

int Describe(int fd, struct statx& description) {
  constexpr unsigned mask = STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID;
  return ::statx(fd, "", AT_EMPTY_PATH | AT_NO_AUTOMOUNT, mask, &description) == 0 ? 0 : errno;
}

int Reopen(int proc_fds, int fd, const struct statx& description, int flags, UniqueFd& opened) {
  if (!S_ISREG(description.stx_mode) && !S_ISDIR(description.stx_mode)) {
    return S_ISLNK(description.stx_mode) ? ELOOP : EOPNOTSUPP;
  }
  opened = UniqueFd(
      ::openat(proc_fds, ProcName(fd).text.data(), flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  return opened.valid() ? 0 : errno;
}

ActAs::ActAs(uint32_t uid, uint32_t gid) {
  // Both calls give the old id and no error: a second call with an id that is none tells.
  ::setfsgid(gid);
  ::setfsuid(uid);
  constexpr auto none = static_cast<uint32_t>(-1);
  ok_ = uid != none && gid != none && static_cast<uint32_t>(::setfsgid(none)) == gid &&
        static_cast<uint32_t>(::setfsuid(none)) == uid;
}

ActAs::~ActAs() {
  ::setfsuid(0);
  ::setfsgid(0);
}

}  // namespace farlet::files
