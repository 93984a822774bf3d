#include "runtime/vm/open_broker.h"

#include "runtime/base/log.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>

namespace farlet::vm {
namespace {

constexpr uint32_t kAllow = SECCOMP_RET_ALLOW;

// Offsets of what a filter looks at; the low halves of the arguments (x86 is little-endian).
constexpr uint32_t kNumber = offsetof(seccomp_data, nr);
constexpr uint32_t kArchitecture = offsetof(seccomp_data, arch);

constexpr uint32_t Argument(size_t index) {
  return static_cast<uint32_t>(offsetof(seccomp_data, args) + 8 * index);
}

constexpr sock_filter Load(uint32_t offset) {
  return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset);
}

constexpr sock_filter Return(uint32_t value) {
  return BPF_STMT(BPF_RET | BPF_K, value);
}

constexpr sock_filter IfEqual(uint32_t value, uint8_t then, uint8_t otherwise) {
  return BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, then, otherwise);
}

}  // namespace

int InstallOpenFilter(MemoryFile memory) {
  // An error of 0 is a call that did nothing and succeeded.
  const uint32_t punch = memory == MemoryFile::kTemplateOfOthers ? SECCOMP_RET_ERRNO : kAllow;
  const std::array filter = {
      Load(kArchitecture),
      IfEqual(AUDIT_ARCH_X86_64, 1, 0),
      Return(SECCOMP_RET_KILL_PROCESS),
      Load(kNumber),
      IfEqual(SYS_fallocate, 6, 0),
      IfEqual(SYS_openat, 0, 4),
      Load(Argument(2)),
      sock_filter(BPF_STMT(BPF_ALU | BPF_AND | BPF_K, O_ACCMODE)),
      IfEqual(O_RDWR, 0, 1),
      Return(SECCOMP_RET_USER_NOTIF),
      Return(kAllow),
      Load(Argument(0)),
      IfEqual(kMemoryFd, 0, 1),
      Return(punch),
      Return(kAllow),
  };
  const sock_fprog program{.len = filter.size(), .filter = const_cast<sock_filter*>(filter.data())};
  const long listener =
      ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
  return listener < 0 ? -errno : static_cast<int>(listener);
}

OpenBroker::OpenBroker(UniqueFd listener, pid_t process, std::map<std::string, Answer> answers)
    : listener_(std::move(listener)), process_(process), answers_(std::move(answers)) {}

bool OpenBroker::OnReadable() {
  seccomp_notif request{};
  if (::ioctl(listener_.get(), SECCOMP_IOCTL_NOTIF_RECV, &request) != 0) {
    return errno == EINTR || errno == ENOENT;  // ENOENT: the call was interrupted
  }
  const auto answer = answers_.find(ReadPath(request.data.args[1]));
  if (answer != answers_.end()) {
    seccomp_notif_addfd add{};
    add.id = request.id;
    add.flags = SECCOMP_ADDFD_FLAG_SEND;
    add.srcfd = static_cast<uint32_t>(answer->second.fd.get());
    add.newfd_flags = O_CLOEXEC;
    if (answer->second.number >= 0) {
      add.flags |= SECCOMP_ADDFD_FLAG_SETFD;
      add.newfd = static_cast<uint32_t>(answer->second.number);
    }
    if (::ioctl(listener_.get(), SECCOMP_IOCTL_NOTIF_ADDFD, &add) >= 0 || errno == ENOENT) {
      return true;
    }
    log::Warning("QEMU did not get a file", {{"path", answer->first}, {"errno", errno}});
  }
  seccomp_notif_resp response{};
  response.id = request.id;
  response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
  ::ioctl(listener_.get(), SECCOMP_IOCTL_NOTIF_SEND, &response);
  return true;
}

std::string OpenBroker::ReadPath(uint64_t address) const {
  // Ours are short; others need not be read in full.
  std::array<char, 64> path{};
  const iovec local{.iov_base = path.data(), .iov_len = path.size() - 1};
  // NOLINTNEXTLINE(performance-no-int-to-ptr): an address in the other process.
  const iovec remote{.iov_base = reinterpret_cast<void*>(address), .iov_len = path.size() - 1};
  if (::process_vm_readv(process_, &local, 1, &remote, 1, 0) <= 0) {
    return {};
  }
  return path.data();
}

}  // namespace farlet::vm
