#pragma once

#include "runtime/base/result.h"
#include "runtime/base/timer.h"

#include <filesystem>

namespace farlet::bench {

// Tells when something is in a container's log file, to within a few milliseconds. Thread safe;
// outlives what it awaits.
class FirstOutput {
 public:
  FirstOutput() : timers_(clock_) {}

  // `done` is called on a thread of its own; with kDeadlineExceeded when nothing comes in a minute.
  void Await(const std::filesystem::path& log, StatusCallback done);

 private:
  void Look(const std::filesystem::path& log, SteadyTime until, const StatusCallback& done);

  RealClock clock_;
  TimerService timers_;
};

}  // namespace farlet::bench
