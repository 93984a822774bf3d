#include "runtime/shim/template_command.h"

#include "runtime/base/pipe.h"
#include "runtime/shim/background_command.h"
#include "runtime/shim/handshake.h"
#include "runtime/shim/machine_flags.h"
#include "runtime/vm/host_config.h"
#include "runtime/vm/vm_factory.h"

#include <string>
#include <utility>
#include <vector>

namespace farlet::shim {
namespace {

// Open as long as the builder lives.
constexpr int kLifeFd = 3;

}  // namespace

Result<UniqueFd> SpawnTemplateBuilder(vm::MachineSize size, uint64_t disk_bytes) {
  FARLET_ASSIGN(Pipe life, MakePipe());
  std::vector<std::string> arguments = SizeFlags(size);
  arguments.insert(arguments.end(),
                   {"-disk-bytes", std::to_string(disk_bytes), "-background", "template"});
  FARLET_TRY(SpawnInBackground(std::move(arguments), {{life.write.get(), kLifeFd}},
                               "start a template's builder"));
  return std::move(life.read);
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
