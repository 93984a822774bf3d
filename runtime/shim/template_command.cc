#include "runtime/shim/template_command.h"

#include "runtime/base/log.h"
#include "runtime/shim/cgroup.h"
#include "runtime/shim/handshake.h"
#include "runtime/vm/host_config.h"
#include "runtime/vm/size_class.h"
#include "runtime/vm/vm_factory.h"

#include <fmt/format.h>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <string>
#include <utility>
#include <vector>

// NOLINTNEXTLINE(readability-redundant-declaration): POSIX leaves it to the program.
extern char** environ;

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

// Of every hierarchy: a pod's cgroup cannot be removed while anything of it holds a process.
void EnterRootCgroups() {
  for (const auto& folder : CgroupFolders("/")) {
    const std::filesystem::path file = folder / "cgroup.procs";
    const UniqueFd fd(::open(file.c_str(), O_WRONLY | O_CLOEXEC));
    if (!fd.valid() || ::write(fd.get(), "0", 1) != 1) {
      log::Warning("a template is built in a pod's cgroup", {{"path", file.string()}});
    }
  }
}

}  // namespace

Result<UniqueFd> SpawnTemplateBuilder(vm::MachineSize size) {
  std::array<int, 2> pipe{};
  if (::pipe2(pipe.data(), O_CLOEXEC) != 0) {
    return ErrnoError(errno, "make a pipe");
  }
  UniqueFd life(pipe[0]);
  const UniqueFd theirs(pipe[1]);
  std::vector<std::string> words = {"containerd-shim-farlet-v2",
                                    "-memory-mib",
                                    std::to_string(size.memory_mib),
                                    "-vcpus",
                                    std::to_string(size.vcpus),
                                    "-background",
                                    "template"};
  std::vector<char*> arguments;
  for (std::string& word : words) {
    arguments.push_back(word.data());
  }
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, theirs.get(), kLifeFd);
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
  pid_t pid = 0;
  const int error =
      ::posix_spawn(&pid, "/proc/self/exe", &actions, &attributes, arguments.data(), environ);
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    return ErrnoError(error, "start a template's builder");
  }
  // It goes into the background at once.
  ::waitpid(pid, nullptr, 0);
  return life;
}

Status RunTemplateCommand(const CommandLine& line) {
  if (line.background && ::fork() != 0) {
    ::_exit(0);
  }
  EnterRootCgroups();
  FARLET_ASSIGN(vm::HostConfig config, vm::LoadHostConfig(vm::HostConfigPath("")));
  FARLET_ASSIGN(const vm::MachineSize size, SizeOf(line, config));
  FARLET_ASSIGN(const auto factory, vm::VmFactory::Create(std::move(config), GuestHandshake()));
  return factory->EnsureTemplate(size);
}

}  // namespace farlet::shim
