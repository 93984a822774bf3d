#pragma once

#include "runtime/base/fd.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <charconv>
#include <cstdint>

// System calls on files, none of which takes more than one path component. All return 0 or an
// errno, which travels to the guest as it is.
namespace farlet::files {

// An O_PATH descriptor of the entry `name` itself (a symlink is not followed), below the folder.
int OpenEntry(int folder, const char* name, UniqueFd& entry);

// Everything that identifies and describes what the descriptor refers to.
int Describe(int fd, struct statx& description);

// Of a file's time, for comparisons. It may be of any year, also of one that does not fit: then it
// wraps around.
inline int64_t Nanoseconds(int64_t sec, int64_t nsec) {
  return static_cast<int64_t>(static_cast<uint64_t>(sec) * 1'000'000'000u +
                              static_cast<uint64_t>(nsec));
}

// What of the flags of open(2) the guest may decide. Not O_DIRECT, whose rules of alignment are
// about buffers that we do not have.
inline constexpr uint32_t kOpenFlags =
    O_ACCMODE | O_APPEND | O_TRUNC | O_SYNC | O_DSYNC | O_NOATIME;

// A descriptor's name below /proc/self/fd, by which calls that know no O_PATH descriptors find what
// it refers to.
struct ProcName {
  explicit ProcName(int fd) { std::to_chars(text.data(), text.data() + text.size() - 1, fd); }

  std::array<char, 16> text{};
};

// Opens what an O_PATH descriptor refers to for reading or writing. Only regular files and
// folders: to open anything else may wait or have an effect. `proc_fds` is /proc/self/fd.
int Reopen(int proc_fds, int fd, const struct statx& description, int flags, UniqueFd& opened);

// While it lives, what the thread makes belongs to the guest's caller. Permission stays the
// server's, since the guest's kernel has decided: see KeepCapabilities in confine.h.
class ActAs {
 public:
  ActAs(uint32_t uid, uint32_t gid);
  ~ActAs();
  ActAs(const ActAs&) = delete;
  ActAs& operator=(const ActAs&) = delete;

  // False: there is no such user or group.
  bool ok() const { return ok_; }

 private:
  bool ok_ = true;
};

}  // namespace farlet::files
