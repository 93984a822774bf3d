#include "runtime/shim/template_command.h"

#include "runtime/base/log.h"
#include "runtime/shim/cgroup.h"
#include "runtime/shim/handshake.h"
#include "runtime/shim/spawn.h"
#include "runtime/vm/host_config.h"
#include "runtime/vm/size_class.h"
#include "runtime/vm/vm_factory.h"

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <string>
#include <utility>

namespace farlet::shim {
namespace {

// Open as long as the builder lives.
constexpr int kLifeFd = 3;

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

Result<vm::MachineSize> SizeOf(const CommandLine& line, const vm::HostConfig& config) {
  vm::PodLimits limits{.memory_bytes = config.default_memory_bytes,
                       .milli_cpus = uint64_t{config.default_vcpus} * 1000};
  vm::MachineSize size = vm::SizeClassFor(limits, limits, vm::ThisHost());
  if (!line.memory_mib.empty()) {
    FARLET_ASSIGN(size.memory_mib, Number<uint32_t>("memory-mib", line.memory_mib, 1));
  }
  if (!line.vcpus.empty()) {
    FARLET_ASSIGN(size.vcpus, Number<uint32_t>("vcpus", line.vcpus, 1));
  }
  return size;
}

}  // namespace

Result<UniqueFd> SpawnTemplateBuilder(vm::MachineSize size, uint64_t disk_bytes) {
  std::array<int, 2> pipe{};
  if (::pipe2(pipe.data(), O_CLOEXEC) != 0) {
    return ErrnoError(errno, "make a pipe");
  }
  UniqueFd life(pipe[0]);
  const UniqueFd theirs(pipe[1]);
  FARLET_ASSIGN(const pid_t pid,
                SpawnSelf({"-memory-mib", std::to_string(size.memory_mib), "-vcpus",
                           std::to_string(size.vcpus), "-disk-bytes", std::to_string(disk_bytes),
                           "-background", "template"},
                          {{theirs.get(), kLifeFd}}, "start a template's builder"));
  // It goes into the background at once.
  ::waitpid(pid, nullptr, 0);
  return life;
}

Status RunTemplateCommand(const CommandLine& line) {
  if (line.background && ::fork() != 0) {
    ::_exit(0);
  }
  // Of every hierarchy: a pod's cgroup cannot be removed while anything of it holds a process.
  if (!LeaveCgroups(CgroupFolders("/"))) {
    log::Warning("a template is built in a pod's cgroup");
  }
  FARLET_ASSIGN(vm::HostConfig config, vm::LoadHostConfig(vm::HostConfigPath("")));
  FARLET_ASSIGN(const vm::MachineSize size, SizeOf(line, config));
  uint64_t disk_bytes = config.ephemeral_storage_bytes;
  if (!line.disk_bytes.empty()) {
    FARLET_ASSIGN(disk_bytes, Number<uint64_t>("disk-bytes", line.disk_bytes, 0));
  }
  FARLET_ASSIGN(const auto factory, vm::VmFactory::Create(std::move(config), GuestHandshake()));
  return factory->EnsureTemplate(size, disk_bytes);
}

}  // namespace farlet::shim
