#pragma once

#include <deque>
#include <functional>
#include <mutex>

namespace farlet {

// Counts operations that run at once and starts the oldest waiting one when another ends.
// Thread safe. `start` may be called from the thread of Submit() or of Done().
class ConcurrencyLimiter {
 public:
  explicit ConcurrencyLimiter(int limit) : limit_(limit) {}

  // Runs `start` now or later. Whoever is started owes one Done().
  void Submit(std::function<void()> start);
  void Done();
  // Whether more than one runs or waits.
  bool crowded() const;

 private:
  const int limit_;
  mutable std::mutex mutex_;  // guards all below
  int running_ = 0;
  std::deque<std::function<void()>> waiting_;
};

}  // namespace farlet
