#pragma once

#include "runtime/base/clock.h"

#include <optional>

namespace farlet::pod {

// How long a container that keeps ending is held back (kubelet-contract B2.3): the first restart is
// immediate, then 10 s, 20, 40 … 300 s after the end; a container that lived longer than twice the
// longest wait starts anew. One per container; pure but for what it remembers.
class CrashBackoff {
 public:
  struct Limits {
    seconds initial{10};
    seconds max{300};
  };

  CrashBackoff() = default;

  explicit CrashBackoff(Limits limits) : limits_(limits) {}

  // The wait that holds for a container that ended at `finished`; zero: restart now.
  seconds Current(WallTime finished) const;
  // When it may be restarted; null: now.
  std::optional<WallTime> BlockedUntil(WallTime finished, WallTime now) const;
  // The container is being restarted.
  void OnRestart(WallTime finished, WallTime now);
  // What a container that was restarted so often without rest must have reached: after a restart of
  // the agent, which remembers nothing.
  void Seed(int restarts, WallTime last_restart);

 private:
  bool Expired(WallTime finished) const;

  Limits limits_;
  seconds delay_{0};
  WallTime updated_;
};

}  // namespace farlet::pod
