#pragma once

#include "runtime/guest/container_plan.h"
#include "runtime/guest/launch.h"
#include "runtime/guest/process_plan.h"

namespace farlet::guest {

// Of a new process; -1 where it has a terminal.
struct ChildStdio {
  int in = -1;
  int out = -1;
  int err = -1;
};

// A container's first process: makes the root, then waits for Go and execs. Born with new mount
// (and mostly PID) namespaces in the container's cgroup.
[[noreturn]] void RunFirst(const ContainerPlan& plan, const ChildStdio& stdio, ChildSocket& socket);

// A further one: enters the namespaces of the process that `first` (a pidfd) stands for and execs
// at once. Born in the container's PID namespace and cgroup.
[[noreturn]] void RunExec(const ProcessPlan& plan,
                          int first,
                          const ChildStdio& stdio,
                          ChildSocket& socket);

}  // namespace farlet::guest
