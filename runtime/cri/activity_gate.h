#pragma once

#include <condition_variable>
#include <mutex>
#include <utility>

namespace farlet::cri {

// Lets an owner of asynchronous work go away while answers are still to come: each answer enters
// first, and is dropped when the owner has closed the gate. Shared by the owner and its callbacks.
// Thread safe.
class ActivityGate {
 public:
  // Inside while it lives; false when the gate was closed.
  class Pass {
   public:
    explicit Pass(ActivityGate* gate) : gate_(gate) {}

    Pass(Pass&& other) noexcept : gate_(std::exchange(other.gate_, nullptr)) {}

    Pass(const Pass&) = delete;
    Pass& operator=(const Pass&) = delete;
    Pass& operator=(Pass&&) = delete;

    ~Pass() {
      if (gate_ != nullptr) {
        gate_->Leave();
      }
    }

    explicit operator bool() const { return gate_ != nullptr; }

   private:
    ActivityGate* gate_;
  };

  Pass Enter() {
    const std::lock_guard lock(mutex_);
    if (closed_) {
      return Pass(nullptr);
    }
    ++inside_;
    return Pass(this);
  }

  // Lets nobody in any more and waits for those inside. Not from inside.
  void Close() {
    std::unique_lock lock(mutex_);
    closed_ = true;
    empty_.wait(lock, [this] { return inside_ == 0; });
  }

 private:
  void Leave() {
    const std::lock_guard lock(mutex_);
    if (--inside_ == 0) {
      empty_.notify_all();
    }
  }

  std::mutex mutex_;  // guards all below
  std::condition_variable empty_;
  bool closed_ = false;
  int inside_ = 0;
};

}  // namespace farlet::cri
