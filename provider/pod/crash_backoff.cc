#include "provider/pod/crash_backoff.h"

#include <algorithm>

namespace farlet::pod {

bool CrashBackoff::Expired(WallTime finished) const {
  return finished - updated_ > 2 * limits_.max;
}

seconds CrashBackoff::Current(WallTime finished) const {
  return Expired(finished) ? seconds(0) : delay_;
}

std::optional<WallTime> CrashBackoff::BlockedUntil(WallTime finished, WallTime now) const {
  const WallTime until = finished + Current(finished);
  if (until <= now) {
    return std::nullopt;
  }
  // A clock that was set back must not hold a container for hours.
  return std::min(until, now + Current(finished));
}

void CrashBackoff::OnRestart(WallTime finished, WallTime now) {
  const seconds current = Current(finished);
  delay_ = current.count() == 0 ? limits_.initial : std::min(limits_.max, 2 * current);
  updated_ = now;
}

void CrashBackoff::Seed(int restarts, WallTime last_restart) {
  seconds delay{0};
  for (int i = 0; i < restarts && delay < limits_.max; ++i) {
    delay = delay.count() == 0 ? limits_.initial : std::min(limits_.max, 2 * delay);
  }
  delay_ = delay;
  updated_ = last_restart;
}

}  // namespace farlet::pod
