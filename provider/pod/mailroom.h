#pragma once

#include "runtime/base/clock.h"
#include "runtime/base/work_queue.h"

#include <atomic>
#include <functional>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace farlet::pod {

struct PodRecord;

// Where completions leave what they found for the worker of their pod: a letter is run by that
// worker, which alone may touch the pod's record, and the pod's key is put on the queue. Shared by
// everything that may call back after the controller has gone, when letters are dropped.
// Thread safe.
class Mailroom {
 public:
  using Letter = std::function<void(PodRecord& record)>;

  explicit Mailroom(const Clock& clock) : queue_(clock) {}

  WorkQueue& queue() { return queue_; }

  void Post(const std::string& uid, Letter letter) {
    {
      const std::lock_guard lock(mutex_);
      if (closed_) {
        return;
      }
      letters_[uid].push_back(std::move(letter));
    }
    queue_.Add(uid);
  }

  std::vector<Letter> Take(const std::string& uid) {
    const std::lock_guard lock(mutex_);
    auto node = letters_.extract(uid);
    return node.empty() ? std::vector<Letter>{} : std::move(node.mapped());
  }

  // Nothing is to be started any more.
  bool closed() const { return closed_; }

  // Runs `step` unless the room is closed; Close() waits for it. Completions reach by it what does
  // not outlive the controller's owner: the cache and the event recorder. It must not block.
  template <class Step>
  void WhileOpen(const Step& step) {
    const std::shared_lock lock(open_mutex_);
    if (!closed_) {
      step();
    }
  }

  void Close() {
    const std::unique_lock no_step(open_mutex_);
    const std::lock_guard lock(mutex_);
    closed_ = true;
    letters_.clear();
  }

 private:
  WorkQueue queue_;
  std::shared_mutex open_mutex_;  // shared while a step runs; before mutex_
  std::mutex mutex_;              // guards letters_
  std::atomic<bool> closed_{false};
  std::unordered_map<std::string, std::vector<Letter>> letters_;
};

}  // namespace farlet::pod
