#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <utility>

namespace farlet {

// How something made of asynchronous steps ends: new steps are refused first, then the running ones
// are waited for. Thread safe.
class Gate {
 public:
  // Inside while it lives; false when the gate was closed. The gate outlives it.
  class Pass {
   public:
    explicit Pass(Gate* gate) : gate_(gate) {}

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
    Gate* gate_;
  };

  Pass Enter() {
    const std::lock_guard lock(mutex_);
    if (closed_) {
      return Pass(nullptr);
    }
    ++inside_;
    return Pass(this);
  }

  // Not from inside a step, which would wait for itself. Idempotent.
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
  int inside_ = 0;
  bool closed_ = false;
};

// Runs `step(object)` inside `object.gate()`, unless the object is gone or its gate is closed: the
// body of every callback that may come late. Objects of this kind live in a shared_ptr of their
// own, and their owner closes the gate before it lets go.
template <class T, class F>
void EnterStep(const std::weak_ptr<T>& weak, F step) {
  const std::shared_ptr<T> object = weak.lock();
  if (object == nullptr) {
    return;
  }
  if (const auto pass = object->gate().Enter()) {
    step(*object);
  }
}

}  // namespace farlet
