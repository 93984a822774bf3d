#pragma once

#include "runtime/base/clock.h"

#include <algorithm>
#include <mutex>

namespace farlet::kube {

// Client-side rate limit: `burst` requests at once, then `qps` a second, first come, first served.
// Thread safe.
class TokenBucket {
 public:
  TokenBucket(double qps, int burst, SteadyTime now)
      : per_token_(1.0 / qps), burst_(burst), tokens_(burst), updated_(now) {}

  // Takes a token, from the future when there is none; returns how long to wait for it.
  std::chrono::nanoseconds Take(SteadyTime now) {
    const std::lock_guard lock(mutex_);
    const std::chrono::duration<double> passed = now - updated_;
    updated_ = now;
    tokens_ = std::min(burst_, tokens_ + passed / per_token_) - 1;
    return tokens_ >= 0
               ? std::chrono::nanoseconds(0)
               : std::chrono::duration_cast<std::chrono::nanoseconds>(-tokens_ * per_token_);
  }

 private:
  const std::chrono::duration<double> per_token_;
  const double burst_;
  std::mutex mutex_;  // guards all below
  double tokens_;     // negative: promised to those who wait
  SteadyTime updated_;
};

}  // namespace farlet::kube
