#pragma once

#include "runtime/base/result.h"

#include <sys/types.h>

#include <chrono>
#include <cstdint>

namespace farlet::shim {

// A process that cannot be mistaken for a later one with the same number.
struct ProcessId {
  pid_t pid = 0;            // 0: none
  uint64_t start_time = 0;  // clock ticks since boot, field 22 of /proc/PID/stat

  bool operator==(const ProcessId&) const = default;
};

// kNotFound when it does not run.
Result<ProcessId> IdOf(pid_t pid);

// Whether exactly this process is there (a zombie counts as gone).
bool IsAlive(const ProcessId& id);

// SIGKILL to exactly this process, and waits until it is gone. Success when it is gone already;
// kDeadlineExceeded when it does not go.
Status KillAndWait(const ProcessId& id, std::chrono::milliseconds patience);

}  // namespace farlet::shim
