#include "runtime/base/timer.h"

#include <algorithm>
#include <utility>

namespace farlet {

TimerService::TimerService(const Clock& clock) : clock_(clock), thread_([this] { Run(); }) {}

TimerService::~TimerService() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

TimerService::Id TimerService::After(std::chrono::nanoseconds delay,
                                     std::function<void()> callback) {
  const SteadyTime due = clock_.Now() + std::max(delay, std::chrono::nanoseconds(0));
  bool first = false;
  Id id = 0;
  {
    const std::lock_guard lock(mutex_);
    id = next_id_++;
    const auto position = timers_.emplace(Key{due, id}, std::move(callback)).first;
    due_.emplace(id, due);
    first = position == timers_.begin();
  }
  if (first) {
    changed_.notify_all();
  }
  return id;
}

bool TimerService::Cancel(Id id) {
  const std::lock_guard lock(mutex_);
  const auto found = due_.find(id);
  if (found == due_.end()) {
    return false;
  }
  timers_.erase(Key{found->second, id});
  due_.erase(found);
  return true;
}

void TimerService::Poke() {
  // The thread holds the lock from its look at the clock until it waits: taking it here means that
  // it has either not looked yet or hears the call.
  const std::lock_guard lock(mutex_);
  changed_.notify_all();
}

void TimerService::Run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (timers_.empty()) {
      changed_.wait(lock);
      continue;
    }
    const auto first = timers_.begin();
    const SteadyTime now = clock_.Now();
    if (first->first.first > now) {
      changed_.wait_for(lock, first->first.first - now);
      continue;
    }
    auto callback = std::move(first->second);
    due_.erase(first->first.second);
    timers_.erase(first);
    lock.unlock();
    callback();
    callback = nullptr;
    lock.lock();
  }
}

}  // namespace farlet
