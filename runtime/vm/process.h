#pragma once

#include "runtime/base/fd.h"
#include "runtime/base/result.h"
#include "runtime/vm/confinement.h"

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>

namespace farlet::vm {

// A confined child process. Killed and reaped by the destructor; killed by the kernel when this
// process ends in whatever way.
class ConfinedProcess {
 public:
  // Returns once the program runs, i.e. exec succeeded.
  static Result<ConfinedProcess> Start(LaunchPlan plan);

  ConfinedProcess(ConfinedProcess&& other) noexcept = default;
  ConfinedProcess& operator=(ConfinedProcess&& other) = delete;
  ~ConfinedProcess();

  pid_t pid() const { return pid_; }

  int pidfd() const { return pidfd_.get(); }

  // Of the filter on the child's open calls, see OpenBroker; once.
  UniqueFd TakeListener() { return std::move(listener_); }

  // SIGKILL, and waits for the end.
  Status Kill(std::chrono::milliseconds timeout);

  // "exited with status 1", "killed by signal 9"; nothing while it runs.
  std::optional<std::string> EndOf() const;

 private:
  ConfinedProcess(pid_t pid, UniqueFd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}

  Status AwaitExec(int control);

  pid_t pid_;
  UniqueFd pidfd_;
  UniqueFd listener_;
};

}  // namespace farlet::vm
