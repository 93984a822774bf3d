#pragma once

#include "runtime/base/result.h"
#include "runtime/guest/cgroup.h"
#include "runtime/guest/process.h"
#include "runtime/guest/seccomp.h"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace farlet::guest {

//   Create ──► creating ──► created ──Start──► running ──► stopped
//                 │ error      └──────────────────────────────┤ process ended
//                 ▼                                           ▼
//              deleting ◄───────────────────────────────── Delete
enum class ContainerState { kCreating, kCreated, kRunning, kStopped, kDeleting };

std::string_view StateName(ContainerState state);

struct Container {
  std::string id;
  ContainerState state = ContainerState::kCreating;
  Cgroup cgroup;
  std::shared_ptr<Process> first;
  // By exec id, also those that ended, until they are deleted.
  std::map<std::string, std::shared_ptr<Process>> execs;
  // Its first process is PID 1 of a namespace, so the kernel kills the others with it.
  bool own_pid_namespace = true;
  std::shared_ptr<const SeccompFilter> seccomp;
  // Of memory.events, as last seen.
  uint64_t oom_kills = 0;
  int oom_watch = -1;
  // Who waits for its removal.
  std::vector<StatusCallback> removal;
};

}  // namespace farlet::guest
