#pragma once

#include "provider/node/capacity.h"

#include <optional>

namespace farlet::node {

// The host's pressure, held for five minutes after it was last seen (the kubelet's
// evictionPressureTransitionPeriod), so that conditions do not flap. Not thread safe.
class PressureMonitor {
 public:
  static constexpr std::chrono::minutes kHold{5};

  Pressure Update(const Pressure& seen, SteadyTime now) {
    return {.memory = Held(memory_, seen.memory, now),
            .disk = Held(disk_, seen.disk, now),
            .pid = Held(pid_, seen.pid, now)};
  }

 private:
  static bool Held(std::optional<SteadyTime>& last, bool seen, SteadyTime now) {
    if (seen) {
      last = now;
    }
    return last && now - *last < kHold;
  }

  std::optional<SteadyTime> memory_;
  std::optional<SteadyTime> disk_;
  std::optional<SteadyTime> pid_;
};

}  // namespace farlet::node
