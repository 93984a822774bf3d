#include "runtime/shim/background_command.h"

#include "runtime/base/log.h"
#include "runtime/shim/cgroup.h"

#include <sys/wait.h>
#include <unistd.h>

#include <utility>

namespace farlet::shim {

Status SpawnInBackground(std::vector<std::string> arguments,
                         const std::vector<Inherited>& descriptors,
                         std::string_view what) {
  FARLET_ASSIGN(const pid_t pid, SpawnSelf(std::move(arguments), descriptors, what));
  ::waitpid(pid, nullptr, 0);
  return {};
}

void LeavePod(const CommandLine& line) {
  if (line.background && ::fork() != 0) {
    ::_exit(0);
  }
  // Of every hierarchy: a pod's cgroup cannot be removed while anything of it holds a process.
  if (!LeaveCgroups(CgroupFolders("/"))) {
    log::Warning("work for the host is done in a pod's cgroup");
  }
}

}  // namespace farlet::shim
