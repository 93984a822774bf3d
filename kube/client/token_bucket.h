#pragma once

#include "runtime/base/clock.h"

#include <algorithm>
#include <mutex>
#include <optional>

namespace farlet::kube {

// Client-side rate limit: `burst` requests at once, then `qps` a second, first come, first served.
// Thread safe.
class TokenBucket {
 public:
  TokenBucket(double qps, int burst, SteadyTime now)
      : per_token_(1.0 / qps), burst_(burst), tokens_(burst), updated_(now) {}

  // Takes a token, from the future when there is none, and returns how long to wait for it; takes
  // none and returns nothing when that is longer than `max_wait`.
  std::optional<std::chrono::nanoseconds> Take(SteadyTime now, std::chrono::nanoseconds max_wait) {
    const std::lock_guard lock(mutex_);
    const std::chrono::duration<double> passed = now - updated_;
    updated_ = now;
    tokens_ = std::min(burst_, tokens_ + passed / per_token_);
    const auto wait = std::chrono::duration_cast<std::chrono::nanoseconds>(
        std::max(0.0, 1 - tokens_) * per_token_);
    if (wait > max_wait) {
      return std::nullopt;
    }
    tokens_ -= 1;
    return wait;
  }

 private:
  const std::chrono::duration<double> per_token_;
  const double burst_;
  std::mutex mutex_;  // guards all below
  double tokens_;     // negative: promised to those who wait
  SteadyTime updated_;
};

}  // namespace farlet::kube
