#pragma once

#include <algorithm>
#include <chrono>

namespace farlet::vm {

// Tells when a machine has come to rest after work, from when its CPUs woke up and what they used.
//
//   working ──a window with little use──► resting (Rested() is true once, if the pause is over)
//      ▲                                     │
//      └────────a window with more───────────┘
//
// The pause doubles each time, so that a machine with a little work now and then is not asked to
// begin anew each time.
class RestWatch {
 public:
  using Duration = std::chrono::nanoseconds;

  static constexpr Duration kWindow = std::chrono::seconds(5);
  static constexpr int kLittlePercent = 5;  // of one CPU; a guest that rests uses 1
  // Even a guest that rests wakes up more often: this one was stopped (a template's clone that
  // waits for its pod), and what it did before says nothing.
  static constexpr Duration kStopped = std::chrono::seconds(10);
  static constexpr Duration kFirstPause = std::chrono::minutes(1);
  static constexpr Duration kLongestPause = std::chrono::minutes(10);

  // At a wake-up. `now` is a monotonic time, `used` the CPU time of the process.
  bool Rested(Duration now, Duration used) {
    const bool stopped = now - last_ >= kStopped;
    last_ = now;
    if (stopped || now - begin_ < kWindow) {
      if (stopped) {
        Begin(now, used);
      }
      return false;
    }
    const bool little = (used - used_) * 100 < (now - begin_) * kLittlePercent;
    Begin(now, used);
    if (!little) {
      worked_ = true;
    }
    if (!little || !worked_ || now < not_before_) {
      return false;
    }
    worked_ = false;
    not_before_ = now + pause_;
    pause_ = std::min(pause_ * 2, kLongestPause);
    return true;
  }

 private:
  void Begin(Duration now, Duration used) {
    begin_ = now;
    used_ = used;
  }

  Duration begin_{0};
  Duration used_{0};
  Duration last_{-kStopped};
  Duration not_before_{0};
  Duration pause_{kFirstPause};
  bool worked_ = true;
};

}  // namespace farlet::vm
