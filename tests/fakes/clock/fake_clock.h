#pragma once

#include "runtime/base/clock.h"

#include <mutex>

namespace farlet::testing {

// A clock that stands still until a test moves it. Thread safe. Steady and wall time move together.
class FakeClock final : public Clock {
 public:
  SteadyTime Now() const override {
    const std::lock_guard lock(mutex_);
    return SteadyTime(std::chrono::hours(1)) + passed_;
  }

  // Starts at 2026-01-02T03:04:05Z.
  WallTime WallNow() const override {
    const std::lock_guard lock(mutex_);
    return WallTime(std::chrono::seconds(1767323045)) +
           std::chrono::duration_cast<WallTime::duration>(passed_);
  }

  void Advance(std::chrono::nanoseconds duration) {
    const std::lock_guard lock(mutex_);
    passed_ += duration;
  }

 private:
  mutable std::mutex mutex_;  // guards passed_
  std::chrono::nanoseconds passed_{0};
};

}  // namespace farlet::testing
