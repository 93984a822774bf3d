#include "runtime/shim/machine_flags.h"

#include "runtime/shim/machine_size.h"

#include <fmt/format.h>

#include <charconv>
#include <string_view>
#include <system_error>

namespace farlet::shim {
namespace {

template <class Integer>
Result<Integer> Number(std::string_view flag, const std::string& text, Integer least) {
  Integer number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < least) {
    return InvalidArgument(
        fmt::format("-{}: \"{}\" is not a number of at least {}", flag, text, least));
  }
  return number;
}

}  // namespace

std::vector<std::string> SizeFlags(vm::MachineSize size) {
  return {"-memory-mib", std::to_string(size.memory_mib), "-vcpus", std::to_string(size.vcpus)};
}

Result<vm::MachineSize> SizeFromFlags(const CommandLine& line, const vm::HostConfig& config) {
  vm::MachineSize size = MachineSizeOf(PodSpec(), config);
  if (!line.memory_mib.empty()) {
    FARLET_ASSIGN(size.memory_mib, Number<uint32_t>("memory-mib", line.memory_mib, 1));
  }
  if (!line.vcpus.empty()) {
    FARLET_ASSIGN(size.vcpus, Number<uint32_t>("vcpus", line.vcpus, 1));
  }
  return size;
}

Result<uint64_t> DiskBytesFromFlags(const CommandLine& line, const vm::HostConfig& config) {
  if (line.disk_bytes.empty()) {
    return config.ephemeral_storage_bytes;
  }
  return Number<uint64_t>("disk-bytes", line.disk_bytes, 0);
}

}  // namespace farlet::shim
