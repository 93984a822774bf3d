#include "runtime/guest/syscall_table.h"

#include <algorithm>

namespace farlet::guest {
namespace {

constexpr SyscallName kNative[] = {
#include "syscalls_64.inc"
};

constexpr SyscallName kI386[] = {
#include "syscalls_32.inc"
};

}  // namespace

std::span<const SyscallName> NativeSyscalls() {
  return kNative;
}

std::span<const SyscallName> I386Syscalls() {
  return kI386;
}

std::optional<uint32_t> FindSyscall(std::span<const SyscallName> table, std::string_view name) {
  const auto found = std::lower_bound(
      table.begin(), table.end(), name,
      [](const SyscallName& entry, std::string_view wanted) { return entry.name < wanted; });
  if (found == table.end() || found->name != name) {
    return std::nullopt;
  }
  return found->number;
}

}  // namespace farlet::guest
