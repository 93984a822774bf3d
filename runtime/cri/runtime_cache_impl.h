#pragma once

#include "runtime/base/gate.h"
#include "runtime/cri/pod_reader.h"
#include "runtime/cri/pod_store.h"
#include "runtime/cri/runtime_cache.h"

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace farlet::cri {

// Reads and relists are in runtime_cache.cc, events and rechecks in runtime_cache_events.cc.
// No lock is held while a call starts, a callback runs or the listener is told.
class RuntimeCache::Impl {
 public:
  Impl(Client& client, const Clock& clock, TimerService& timers, Options options)
      : client_(client), clock_(clock), timers_(timers), options_(options) {}

  ~Impl();
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void SetListener(std::function<void(const std::string&)> listener) {
    listener_ = std::move(listener);
  }

  void Start();
  PodRuntimePtr Get(const std::string& uid) const;
  std::vector<PodRuntimePtr> All() const;
  bool Synced() const;
  void Refresh(const std::string& uid, Callback<PodRuntimePtr> done);
  void Relist(StatusCallback done);
  void OnEvent(const EventNotice& notice);
  void NoteSandbox(const std::string& uid, const SandboxStatus& status);
  void NoteContainer(const std::string& uid, PodContainer container);
  void NoteRemoved(const std::string& id);

 private:
  using Moment = PodStore::Moment;
  using PodDone = Callback<PodRuntimePtr>;

  // The read of a pod that runs, and those that asked since it began.
  struct Read {
    std::vector<PodDone> running;
    std::vector<PodDone> waiting;
  };

  // What was announced of a sandbox or container and is not seen yet.
  struct Recheck {
    bool stopped = false;
    bool deleted = false;
    bool out_of_memory = false;
    SteadyTime until;
    milliseconds wait{0};
    bool reading = false;
    bool again = false;  // announced once more while reading
    TimerService::Id timer = 0;
  };

  struct EarlyExit {
    SteadyTime time;
    RuntimeEvent::Kind kind;
  };

  // Reads (runtime_cache.cc).
  void StartRead(const std::string& uid, Moment asked, std::optional<PodLists> lists);
  void FinishRead(const std::string& uid, Moment asked, Result<PodFacts> facts);
  // Joins a read that has not begun, or starts one with `lists` as its first half.
  void QueueRead(const std::string& uid, Moment asked, std::optional<PodLists> lists, PodDone done);
  void StartRelist();
  void OnLists(Moment asked, Result<std::map<std::string, PodLists>> lists);
  void FinishRelist(const Status& outcome);
  void ScheduleRelist();
  milliseconds RelistDelay() const;  // needs mutex_
  void Tell(const std::string& uid);

  // Events (runtime_cache_events.cc).
  void OnRuntimeEvent(const RuntimeEvent& event);
  void SetEventsUp(bool up);
  // Adds an announcement about a known thing; true when a read of it has to start now.
  bool Announce(const std::string& id, RuntimeEvent::Kind kind);  // needs mutex_
  void ReadOne(const std::string& id);
  template <class Value>
  void OnOne(const std::string& id, Moment asked, const std::string& uid, Result<Value> value);
  bool Settled(const std::string& id, const Recheck& recheck) const;  // needs mutex_
  // Ends the recheck of the id or waits for the next one; true when to read again at once.
  bool NextStep(const std::string& id);                                    // needs mutex_
  bool TakeEarlyExit(const std::string& id);                               // needs mutex_
  void RememberEarlyExit(const std::string& id, RuntimeEvent::Kind kind);  // needs mutex_

  Client& client_;
  const Clock& clock_;
  TimerService& timers_;
  const Options options_;
  std::function<void(const std::string&)> listener_;
  const std::shared_ptr<Gate> gate_ = std::make_shared<Gate>();

  mutable std::mutex mutex_;  // guards all below
  PodStore store_;
  std::unordered_map<std::string, Read> reads_;  // by UID
  bool started_ = false;
  bool synced_ = false;
  bool events_up_ = false;
  bool list_failed_ = false;    // the last lists could not be had
  bool relist_failed_ = false;  // or the read of a pod that differed failed
  bool relisting_ = false;
  std::vector<StatusCallback> relist_running_;
  std::vector<StatusCallback> relist_waiting_;
  TimerService::Id relist_timer_ = 0;
  std::unordered_map<std::string, Recheck> rechecks_;       // by sandbox or container id
  std::unordered_map<std::string, EarlyExit> early_exits_;  // announced before the thing was known
};

}  // namespace farlet::cri
