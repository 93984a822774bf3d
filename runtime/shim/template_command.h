#pragma once

#include "runtime/base/fd.h"
#include "runtime/base/result.h"
#include "runtime/shim/cli.h"
#include "runtime/vm/vm.h"

namespace farlet::shim {

// Starts this executable as a builder of a template (`template`; see VmFactory::EnsureTemplate). It
// belongs to no pod:
// neither the end of this process nor a pod's limits reach it. The descriptor reads its end as the
// end of the file.
Result<UniqueFd> SpawnTemplateBuilder(vm::MachineSize size, uint64_t disk_bytes);

// What that process does: builds the template that is missing or stale. Also for whoever wants to
// have it before the first pod; the configuration is found as the shim finds it.
Status RunTemplateCommand(const CommandLine& line);

}  // namespace farlet::shim
