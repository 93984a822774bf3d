#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <utility>

namespace farlet::kube {

// How something made of asynchronous steps ends: new steps are refused first, then the running ones
// are waited for. Thread safe.
class Gate {
 public:
  bool Enter() {
    const std::lock_guard lock(mutex_);
    if (closed_) {
      return false;
    }
    ++inside_;
    return true;
  }

  void Leave() {
    const std::lock_guard lock(mutex_);
    --inside_;
    changed_.notify_all();
  }

  // Not from inside a step, which would wait for itself. Idempotent.
  void Close() {
    std::unique_lock lock(mutex_);
    closed_ = true;
    changed_.wait(lock, [this] { return inside_ == 0; });
  }

  bool closed() const {
    const std::lock_guard lock(mutex_);
    return closed_;
  }

 private:
  mutable std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  int inside_ = 0;
  bool closed_ = false;
};

// Runs `step(object)` inside `object.gate()`, unless the object is gone or its gate is closed: the
// body of every callback that may come late. Objects of this kind live in a shared_ptr of their
// own, and their owner closes the gate before it lets go.
template <class T, class F>
void EnterStep(const std::weak_ptr<T>& weak, F step) {
  const std::shared_ptr<T> object = weak.lock();
  if (object == nullptr || !object->gate().Enter()) {
    return;
  }
  step(*object);
  object->gate().Leave();
}

}  // namespace farlet::kube
