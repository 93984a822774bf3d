#include "runtime/vm/files/confine.h"

#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <vector>

namespace farlet::files {
namespace {

#if defined(__x86_64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#else
#error "the file server's system call filter does not know this architecture"
#endif

// Without CAP_FSETID: a write takes set-ID bits away, as it must. Without CAP_MKNOD,
// CAP_SYS_RESOURCE, CAP_LINUX_IMMUTABLE and all the rest.
constexpr uint64_t kCapabilities = (1U << CAP_CHOWN) | (1U << CAP_DAC_OVERRIDE) |
                                   (1U << CAP_FOWNER) | (1U << CAP_SETUID) | (1U << CAP_SETGID);

constexpr auto kSystemCalls = std::to_array<long>({
  // the channel
  SYS_recvfrom, SYS_sendto, SYS_read, SYS_write, SYS_writev, SYS_ppoll,
      // files
      SYS_openat, SYS_openat2, SYS_close, SYS_statx, SYS_newfstatat, SYS_fstat, SYS_fstatfs,
      SYS_getdents64, SYS_lseek, SYS_pread64, SYS_pwrite64, SYS_fsync, SYS_fdatasync, SYS_ftruncate,
      SYS_fallocate, SYS_copy_file_range, SYS_fcntl, SYS_linkat, SYS_symlinkat, SYS_unlinkat,
      SYS_renameat2, SYS_mkdirat, SYS_mknodat, SYS_readlinkat, SYS_fchmodat, SYS_fchownat,
      SYS_utimensat, SYS_fgetxattr, SYS_fsetxattr, SYS_flistxattr, SYS_fremovexattr, SYS_setfsuid,
      SYS_setfsgid,
      // memory, time, the C library
      SYS_brk, SYS_mmap, SYS_munmap, SYS_mremap, SYS_mprotect, SYS_madvise, SYS_futex,
      SYS_clock_gettime, SYS_gettimeofday, SYS_getrandom, SYS_getpid, SYS_gettid, SYS_tgkill,
      SYS_rt_sigprocmask, SYS_rt_sigaction, SYS_rt_sigreturn, SYS_restart_syscall, SYS_exit,
      SYS_exit_group,
#if defined(__x86_64__)
      SYS_poll, SYS_time,
#endif
});

sock_filter Statement(uint16_t code, uint32_t value) {
  return BPF_STMT(code, value);
}

}  // namespace

Status KeepCapabilities() {
  constexpr unsigned long bits = SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED |
                                 SECBIT_NOROOT | SECBIT_NOROOT_LOCKED |
                                 SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
  if (::prctl(PR_SET_SECUREBITS, bits, 0, 0, 0) != 0) {
    return ErrnoError(errno, "set secure bits");
  }
  return {};
}

Status DropCapabilities() {
  if (::setgroups(0, nullptr) != 0) {
    return ErrnoError(errno, "drop groups");
  }
  for (unsigned long capability = 0; capability < 64; ++capability) {
    // EINVAL: beyond the last that the kernel knows.
    if (((kCapabilities >> capability) & 1U) == 0 &&
        ::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0 && errno != EINVAL) {
      return ErrnoError(errno, "drop capability from bounding set");
    }
  }
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> data{};
  data[0].effective = static_cast<uint32_t>(kCapabilities);
  data[0].permitted = static_cast<uint32_t>(kCapabilities);
  if (::syscall(SYS_capset, &header, data.data()) != 0) {
    return ErrnoError(errno, "drop capabilities");
  }
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return ErrnoError(errno, "set no_new_privs");
  }
  return {};
}

Status FilterSystemCalls() {
  std::vector<sock_filter> filter;
  filter.push_back(Statement(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)));
  filter.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kArchitecture, 1, 0));
  filter.push_back(Statement(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS));
  filter.push_back(Statement(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)));
  for (const long number : kSystemCalls) {
    filter.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(number), 0, 1));
    filter.push_back(Statement(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  }
  filter.push_back(Statement(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM));
  const sock_fprog program{.len = static_cast<uint16_t>(filter.size()), .filter = filter.data()};
  if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) != 0) {
    return ErrnoError(errno, "set system call filter");
  }
  return {};
}

Status CloseOthers(std::initializer_list<int> kept) {
  std::vector<unsigned> sorted(kept.begin(), kept.end());
  std::sort(sorted.begin(), sorted.end());
  unsigned begin = 3;
  for (const unsigned fd : sorted) {
    if (fd > begin && ::close_range(begin, fd - 1, 0) != 0) {
      return ErrnoError(errno, "close inherited descriptors");
    }
    begin = std::max(begin, fd + 1);
  }
  if (::close_range(begin, ~0U, 0) != 0) {
    return ErrnoError(errno, "close inherited descriptors");
  }
  return {};
}

void RaiseFileLimit(uint64_t descriptors) {
  const rlimit wanted{.rlim_cur = descriptors, .rlim_max = descriptors};
  if (::setrlimit(RLIMIT_NOFILE, &wanted) == 0) {
    return;
  }
  rlimit there{};
  if (::getrlimit(RLIMIT_NOFILE, &there) == 0) {
    there.rlim_cur = there.rlim_max;
    (void)::setrlimit(RLIMIT_NOFILE, &there);
  }
}

}  // namespace farlet::files
