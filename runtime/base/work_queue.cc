#include "runtime/base/work_queue.h"

#include <utility>

namespace farlet {

WorkQueue::~WorkQueue() {
  Stop();
}

void WorkQueue::Start(int workers, Handler handler) {
  handler_ = std::move(handler);
  for (int i = 0; i < workers; ++i) {
    threads_.emplace_back([this] { Run(); });
  }
}

void WorkQueue::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) {
    thread.join();
  }
  threads_.clear();
}

void WorkQueue::Add(const std::string& key) {
  const std::lock_guard lock(mutex_);
  EraseDelay(key);
  MakeReady(key);
}

void WorkQueue::AddAfter(const std::string& key, std::chrono::nanoseconds delay) {
  const SteadyTime due = clock_.Now() + delay;
  const std::lock_guard lock(mutex_);
  if (stopping_ || queued_.contains(key) || dirty_.contains(key)) {
    return;
  }
  const auto known = due_.find(key);
  if (known != due_.end()) {
    if (known->second <= due) {
      return;
    }
    EraseDelay(key);
  }
  due_.emplace(key, due);
  const auto position = delayed_.emplace(due, key).first;
  if (position == delayed_.begin()) {
    changed_.notify_one();
  }
}

void WorkQueue::CancelDelay(const std::string& key) {
  const std::lock_guard lock(mutex_);
  EraseDelay(key);
}

void WorkQueue::Poke() {
  // A worker holds the lock from its look at the clock until it waits: taking it here means that
  // the worker has either not looked yet or hears the call.
  const std::lock_guard lock(mutex_);
  changed_.notify_all();
}

void WorkQueue::MakeReady(const std::string& key) {
  if (stopping_ || queued_.contains(key)) {
    return;
  }
  if (handling_.contains(key)) {
    dirty_.insert(key);
    return;
  }
  queued_.insert(key);
  ready_.push_back(key);
  changed_.notify_one();
}

void WorkQueue::EraseDelay(const std::string& key) {
  const auto known = due_.find(key);
  if (known != due_.end()) {
    delayed_.erase({known->second, key});
    due_.erase(known);
  }
}

std::optional<SteadyTime> WorkQueue::PromoteDue(SteadyTime now) {
  while (!delayed_.empty()) {
    const auto [due, key] = *delayed_.begin();
    if (due > now) {
      return due;
    }
    EraseDelay(key);
    MakeReady(key);
  }
  return std::nullopt;
}

void WorkQueue::Run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const SteadyTime now = clock_.Now();
    const std::optional<SteadyTime> next_due = PromoteDue(now);
    if (ready_.empty()) {
      if (next_due) {
        changed_.wait_for(lock, *next_due - now);
      } else {
        changed_.wait(lock);
      }
      continue;
    }
    const std::string key = std::move(ready_.front());
    ready_.pop_front();
    queued_.erase(key);
    handling_.insert(key);
    lock.unlock();
    handler_(key);
    lock.lock();
    handling_.erase(key);
    if (dirty_.erase(key) > 0) {
      MakeReady(key);
    }
  }
}

}  // namespace farlet
