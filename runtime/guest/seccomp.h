#pragma once

#include "runtime/base/result.h"

#include <linux/filter.h>

#include <vector>

namespace farlet::guest {

namespace v1 {
class Seccomp;
}

struct SeccompFilter {
  std::vector<sock_filter> program;
  // Of seccomp(2).
  unsigned flags = 0;
};

// Makes a BPF program of the rules for x86-64 and, where the rules name it, i386; other system
// calls kill the process. A call the rules do not know and that is newer than all they know gets
// ENOSYS when the default is a refusal, so that programs fall back to what the rules do know (runc
// does so too). x32 calls get ENOSYS when allowed: kernels of today do not have them.
//
// Errors: kInvalidArgument for unknown actions, operators, architectures and flags;
// kResourceExhausted for a program longer than the kernel takes.
Result<SeccompFilter> CompileSeccomp(const v1::Seccomp& rules);

// For the calling process and what it will exec. Without no_new_privs it needs CAP_SYS_ADMIN.
Status InstallSeccomp(const SeccompFilter& filter);

}  // namespace farlet::guest
