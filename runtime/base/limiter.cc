#include "runtime/base/limiter.h"

#include <utility>

namespace farlet {

void ConcurrencyLimiter::Submit(std::function<void()> start) {
  {
    const std::lock_guard lock(mutex_);
    if (running_ >= limit_) {
      waiting_.push_back(std::move(start));
      return;
    }
    ++running_;
  }
  start();
}

void ConcurrencyLimiter::Done() {
  std::function<void()> next;
  {
    const std::lock_guard lock(mutex_);
    if (waiting_.empty()) {
      --running_;
      return;
    }
    next = std::move(waiting_.front());
    waiting_.pop_front();
  }
  next();
}

bool ConcurrencyLimiter::crowded() const {
  const std::lock_guard lock(mutex_);
  return running_ > 1 || !waiting_.empty();
}

}  // namespace farlet
