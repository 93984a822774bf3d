#pragma once

#include "runtime/base/clock.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <random>

namespace farlet {

// Capped exponential back-off. Not thread safe; one per retried thing.
struct BackoffPolicy {
  milliseconds initial{100};
  milliseconds max{7000};
  double factor = 2.0;
  // Each wait is lengthened by a random share of up to this much, so that many clients spread out.
  double jitter = 0.2;
};

class Backoff {
 public:
  explicit Backoff(BackoffPolicy policy) : policy_(policy) {}

  // The wait before the next try; grows with each call up to policy.max (plus jitter).
  milliseconds Next() {
    const milliseconds base = next_.count() == 0 ? policy_.initial : next_;
    next_ = std::min(
        policy_.max,
        milliseconds(static_cast<int64_t>(static_cast<double>(base.count()) * policy_.factor)));
    std::uniform_real_distribution<double> share(0.0, policy_.jitter);
    return base +
           milliseconds(static_cast<int64_t>(static_cast<double>(base.count()) * share(random_)));
  }

  void Reset() { next_ = milliseconds(0); }

 private:
  BackoffPolicy policy_;
  milliseconds next_{0};
  std::minstd_rand random_{std::random_device{}()};
};

}  // namespace farlet
