#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace farlet::guest {

struct SyscallName {
  const char* name;
  uint32_t number;
};

// Sorted by name; made of the kernel's headers when the project is configured.
std::span<const SyscallName> NativeSyscalls();
std::span<const SyscallName> I386Syscalls();

std::optional<uint32_t> FindSyscall(std::span<const SyscallName> table, std::string_view name);

}  // namespace farlet::guest
