#pragma once

#include "runtime/base/fd.h"
#include "runtime/base/result.h"

#include <sys/types.h>

#include <map>
#include <string>

namespace farlet::vm {

// QEMU opens its memory file and /dev/kvm by path, for reading and writing. In its confinement
// neither path exists; a seccomp filter sends such calls here, and what is answered is a descriptor
// of our choice. Two things come of it:
// - A clone gets the template's memory read-only, which a private mapping does not mind: a QEMU
// that
//   a guest took over cannot change the template that all other pods are made of.
// - QEMU returns free guest memory by punching holes into the file, although the mapping is private
//   (ram_block_discard_range up to 9.x), which would zero other pods' memory. For a clone that call
//   does nothing and succeeds; QEMU then drops its own pages, which is what is wanted.

// The number that the memory file has in QEMU, out of the way of those that QEMU gets by itself.
inline constexpr int kMemoryFd = 200;

enum class MemoryFile { kShared, kTemplateOfOthers };

// In the child, before exec: async-signal-safe. The listener's descriptor, or -errno.
int InstallOpenFilter(MemoryFile memory);

// In the parent: answers.
class OpenBroker {
 public:
  struct Answer {
    UniqueFd fd;
    int number = -1;  // the descriptor's number in QEMU, -1 for any
  };

  // `process` reads paths from. Paths without an answer are opened by the kernel as usual.
  OpenBroker(UniqueFd listener, pid_t process, std::map<std::string, Answer> answers);

  int fd() const { return listener_.get(); }

  // Answers one call. False when no more can come.
  bool OnReadable();

 private:
  std::string ReadPath(uint64_t address) const;

  UniqueFd listener_;
  const pid_t process_;
  const std::map<std::string, Answer> answers_;
};

}  // namespace farlet::vm
