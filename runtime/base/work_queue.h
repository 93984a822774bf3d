#pragma once

#include "runtime/base/clock.h"

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace farlet {

// A keyed, level-triggered work queue. A key is handled by one worker at a time; a key added while
// it is handled is handled once more afterwards; of several delays the earliest wins.
//
//            Add            taken             done, not dirty
//   absent ───────► ready ────────► handling ────────────────► absent
//      │  AddAfter    ▲               │  Add while handling
//      └──► delayed ──┘ due           └──► dirty ──► ready (when the handler returns)
//
// Thread safe. Under a FakeClock, call Poke() after moving it.
class WorkQueue {
 public:
  using Handler = std::function<void(const std::string& key)>;

  explicit WorkQueue(const Clock& clock) : clock_(clock) {}

  // Calls Stop().
  ~WorkQueue();

  WorkQueue(const WorkQueue&) = delete;
  WorkQueue& operator=(const WorkQueue&) = delete;

  // Starts `workers` threads that run `handler`. Call once.
  void Start(int workers, Handler handler);
  // Refuses new keys, lets running handlers end, joins. Idempotent; not from a handler.
  void Stop();

  void Add(const std::string& key);
  void AddAfter(const std::string& key, std::chrono::nanoseconds delay);
  // Drops a pending delay of the key; a ready or running key is not touched.
  void CancelDelay(const std::string& key);
  void Poke();

 private:
  void Run();
  // Moves due keys to ready_; returns when the next one is due. Needs mutex_.
  std::optional<SteadyTime> PromoteDue(SteadyTime now);
  void MakeReady(const std::string& key);
  void EraseDelay(const std::string& key);

  const Clock& clock_;
  Handler handler_;
  std::mutex mutex_;  // guards all below but threads_
  std::condition_variable changed_;
  bool stopping_ = false;
  std::deque<std::string> ready_;
  std::unordered_set<std::string> queued_;
  std::unordered_set<std::string> handling_;
  std::unordered_set<std::string> dirty_;
  std::set<std::pair<SteadyTime, std::string>> delayed_;
  std::unordered_map<std::string, SteadyTime> due_;
  std::vector<std::thread> threads_;
};

}  // namespace farlet
