#pragma once

#include "runtime/base/clock.h"

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <unordered_map>

namespace farlet {

// Runs callbacks at a later time on one thread of its own. Callbacks must not block.
// Thread safe. Under a FakeClock, call Poke() after moving it.
class TimerService {
 public:
  using Id = uint64_t;

  explicit TimerService(const Clock& clock);
  // Drops what has not fired; waits for a callback that is running.
  ~TimerService();

  TimerService(const TimerService&) = delete;
  TimerService& operator=(const TimerService&) = delete;

  Id After(std::chrono::nanoseconds delay, std::function<void()> callback);
  // True when the callback will not run any more; false when it ran or is running.
  bool Cancel(Id id);
  void Poke();

 private:
  using Key = std::pair<SteadyTime, Id>;

  void Run();

  const Clock& clock_;
  std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  bool stopping_ = false;
  Id next_id_ = 1;
  std::map<Key, std::function<void()>> timers_;
  std::unordered_map<Id, SteadyTime> due_;
  std::thread thread_;
};

}  // namespace farlet
