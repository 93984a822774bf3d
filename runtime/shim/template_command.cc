#include "runtime/shim/template_command.h"

#include "runtime/shim/background_command.h"
#include "runtime/shim/handshake.h"
#include "runtime/shim/machine_flags.h"
#include "runtime/vm/host_config.h"
#include "runtime/vm/vm_factory.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>
#include <utility>
#include <vector>

namespace farlet::shim {
namespace {

// Open as long as the builder lives.
constexpr int kLifeFd = 3;

}  // namespace

Result<UniqueFd> SpawnTemplateBuilder(vm::MachineSize size, uint64_t disk_bytes) {
  std::array<int, 2> pipe{};
  if (::pipe2(pipe.data(), O_CLOEXEC) != 0) {
    return ErrnoError(errno, "make a pipe");
  }
  UniqueFd life(pipe[0]);
  const UniqueFd theirs(pipe[1]);
  std::vector<std::string> arguments = SizeFlags(size);
  arguments.insert(arguments.end(),
                   {"-disk-bytes", std::to_string(disk_bytes), "-background", "template"});
  FARLET_TRY(SpawnInBackground(std::move(arguments), {{theirs.get(), kLifeFd}},
                               "start a template's builder"));
  return life;
}

Status RunTemplateCommand(const CommandLine& line) {
  LeavePod(line);
  FARLET_ASSIGN(vm::HostConfig config, vm::LoadHostConfig(vm::HostConfigPath("")));
  FARLET_ASSIGN(const vm::MachineSize size, SizeFromFlags(line, config));
  FARLET_ASSIGN(const uint64_t disk_bytes, DiskBytesFromFlags(line, config));
  FARLET_ASSIGN(const auto factory, vm::VmFactory::Create(std::move(config), GuestHandshake()));
  return factory->EnsureTemplate(size, disk_bytes);
}

}  // namespace farlet::shim
