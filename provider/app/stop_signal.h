#pragma once

#include "runtime/base/clock.h"

namespace farlet::app {

// SIGTERM and SIGINT, taken by waiting for them. Made before any thread, which inherit the blocked
// mask; SIGPIPE is ignored from then on.
class StopSignal {
 public:
  StopSignal();

  // True when one has come; waits for it no longer than `timeout`. One thread only.
  bool WaitFor(milliseconds timeout);
  void Wait();

 private:
  bool received_ = false;
};

}  // namespace farlet::app
