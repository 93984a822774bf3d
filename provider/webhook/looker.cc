#include "provider/webhook/looker.h"

#include "runtime/base/gate.h"

#include <mutex>
#include <optional>
#include <utility>

namespace farlet::webhook {

class Looker::Impl : public std::enable_shared_from_this<Looker::Impl> {
 public:
  Impl(TimerService& timers, LookerOptions options, std::function<void()> look)
      : timers_(timers), options_(options), look_(std::move(look)) {}

  Gate& gate() { return gate_; }

  void LookSoon() {
    const std::lock_guard lock(mutex_);
    if (!std::exchange(soon_, true)) {
      LookAfterLocked(options_.settle);
    }
  }

  void Stop() {
    gate_.Close();
    const std::lock_guard lock(mutex_);
    if (timer_) {
      timers_.Cancel(*timer_);
    }
  }

 private:
  // Needs mutex_.
  void LookAfterLocked(milliseconds delay) {
    if (timer_) {
      timers_.Cancel(*timer_);
    }
    timer_ = timers_.After(
        delay, [weak = weak_from_this()] { EnterStep(weak, [](Impl& self) { self.Look(); }); });
  }

  void Look() {
    {
      const std::lock_guard lock(mutex_);
      soon_ = false;
      if (options_.look_again.count() > 0) {
        LookAfterLocked(options_.look_again);
      }
    }
    look_();
  }

  TimerService& timers_;
  const LookerOptions options_;
  const std::function<void()> look_;
  Gate gate_;

  std::mutex mutex_;  // guards all below
  bool soon_ = false;
  std::optional<TimerService::Id> timer_;
};

Looker::Looker(TimerService& timers, LookerOptions options, std::function<void()> look)
    : impl_(std::make_shared<Impl>(timers, options, std::move(look))) {}

Looker::~Looker() {
  impl_->Stop();
}

void Looker::LookSoon() {
  impl_->LookSoon();
}

void Looker::Stop() {
  impl_->Stop();
}

}  // namespace farlet::webhook
