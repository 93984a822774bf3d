#include "runtime/shim/template_command.h"

#include "runtime/base/log.h"
#include "runtime/shim/cgroup.h"
#include "runtime/shim/handshake.h"
#include "runtime/shim/spawn_self.h"
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

Result<uint32_t> Number(std::string_view flag, const std::string& text) {
  uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number == 0) {
    return InvalidArgument(fmt::format("-{}: \"{}\" is not a number above 0", flag, text));
  }
  return number;
}

Result<vm::MachineSize> SizeOf(const CommandLine& line, const vm::HostConfig& config) {
  vm::PodLimits limits{.memory_bytes = config.default_memory_bytes,
                       .milli_cpus = uint64_t{config.default_vcpus} * 1000};
  vm::MachineSize size = vm::SizeClassFor(limits, limits, vm::ThisHost());
  if (!line.memory_mib.empty()) {
    FARLET_ASSIGN(size.memory_mib, Number("memory-mib", line.memory_mib));
  }
  if (!line.vcpus.empty()) {
    FARLET_ASSIGN(size.vcpus, Number("vcpus", line.vcpus));
  }
  return size;
}

}  // namespace

Result<UniqueFd> SpawnTemplateBuilder(vm::MachineSize size) {
  std::array<int, 2> pipe{};
  if (::pipe2(pipe.data(), O_CLOEXEC) != 0) {
    return ErrnoError(errno, "make a pipe");
  }
  UniqueFd life(pipe[0]);
  const UniqueFd theirs(pipe[1]);
  FARLET_ASSIGN(const pid_t pid,
                SpawnSelf({"-memory-mib", std::to_string(size.memory_mib), "-vcpus",
                           std::to_string(size.vcpus), "-background", "template"},
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
  FARLET_ASSIGN(const auto factory, vm::VmFactory::Create(std::move(config), GuestHandshake()));
  return factory->EnsureTemplate(size);
}

}  // namespace farlet::shim
