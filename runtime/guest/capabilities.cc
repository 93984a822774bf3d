#include "runtime/guest/capabilities.h"

#include "proto/guest/v1/guest.pb.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>

namespace farlet::guest {
namespace {

// In the order of their numbers, see capabilities(7).
constexpr std::array<std::string_view, 41> kNames = {
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
};

template <class Names>
Result<uint64_t> ParseSet(const Names& names) {
  uint64_t set = 0;
  for (const std::string& name : names) {
    std::string_view rest = name;
    if (rest.starts_with("CAP_")) {
      rest.remove_prefix(4);
    }
    size_t number = 0;
    while (number < kNames.size() && kNames[number] != rest) {
      ++number;
    }
    if (number == kNames.size()) {
      return InvalidArgument("unknown capability \"" + name.substr(0, 64) + "\"");
    }
    set |= uint64_t{1} << number;
  }
  return set;
}

}  // namespace

Result<CapabilitySets> ParseCapabilities(const v1::Capabilities& names) {
  CapabilitySets sets;
  FARLET_ASSIGN(sets.bounding, ParseSet(names.bounding()));
  FARLET_ASSIGN(sets.effective, ParseSet(names.effective()));
  FARLET_ASSIGN(sets.inheritable, ParseSet(names.inheritable()));
  FARLET_ASSIGN(sets.permitted, ParseSet(names.permitted()));
  FARLET_ASSIGN(sets.ambient, ParseSet(names.ambient()));
  return sets;
}

Status LimitBoundingSet(uint64_t keep) {
  for (unsigned number = 0; number < 64; ++number) {
    if ((keep >> number & 1) != 0) {
      continue;
    }
    if (::prctl(PR_CAPBSET_DROP, number, 0, 0, 0) != 0) {
      if (errno == EINVAL) {
        return {};  // above the kernel's last one
      }
      return ErrnoError(errno, "drop capability " + std::to_string(number));
    }
  }
  return {};
}

Status SetCapabilities(const CapabilitySets& sets) {
  __user_cap_header_struct header{};
  header.version = _LINUX_CAPABILITY_VERSION_3;
  std::array<__user_cap_data_struct, 2> data{};
  for (size_t half = 0; half < 2; ++half) {
    const unsigned shift = half == 0 ? 0 : 32;
    data[half].effective = static_cast<uint32_t>(sets.effective >> shift);
    data[half].permitted = static_cast<uint32_t>(sets.permitted >> shift);
    data[half].inheritable = static_cast<uint32_t>(sets.inheritable >> shift);
  }
  if (::syscall(SYS_capset, &header, data.data()) != 0) {
    return ErrnoError(errno, "set capabilities");
  }
  ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  for (unsigned number = 0; number < kNames.size(); ++number) {
    if ((sets.ambient >> number & 1) != 0 &&
        ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0) != 0) {
      return ErrnoError(errno, "raise ambient capability " + std::string(kNames[number]));
    }
  }
  return {};
}

}  // namespace farlet::guest
