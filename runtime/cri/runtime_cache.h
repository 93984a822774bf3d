#pragma once

#include "runtime/base/clock.h"
#include "runtime/base/result.h"
#include "runtime/base/timer.h"
#include "runtime/cri/client.h"
#include "runtime/cri/event_source.h"
#include "runtime/cri/pod_runtime.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace farlet::cri {

// The node's view of the runtime: for each pod UID the sandboxes and containers with their full
// status. Only what carries the label io.kubernetes.pod.uid is in it, ours and foreign alike: see
// labels::kOwner.
//
// Kept fresh by four things, cheapest first:
//   Note…()      what the caller did and saw itself: no round trip
//   OnEvent()    an exit or a removal: one status call for the container or sandbox, repeated after
//                5, 10, 20 … ms while the runtime still shows the old state
//   the relist   two list calls every 10 s while events flow, every 200 ms while they do not; only
//                pods that differ are read in full
//   Refresh()    on demand
// State never goes backwards (created, running, exited; ready, not ready), and a slow answer never
// undoes what was learnt after it was asked for.
//
// Thread safe. Callbacks and the listener run on threads of the client, of the timers or of the
// caller, without a lock held; they may call the cache, must not block and must not destroy it.
class RuntimeCache {
 public:
  struct Options {
    milliseconds relist_with_events{10'000};
    milliseconds relist_without_events{200};
    // While the runtime still shows a container as running after its exit was announced; the wait
    // doubles from one read to the next.
    milliseconds first_recheck{5};
    milliseconds longest_recheck{1000};
    seconds recheck_for{60};
  };

  // The references must outlive the cache; `client` may be destroyed only after it.
  RuntimeCache(Client& client, const Clock& clock, TimerService& timers, Options options);
  RuntimeCache(Client& client, const Clock& clock, TimerService& timers);
  // Ends pending callbacks with kCancelled and waits for those that run; nothing is called after.
  ~RuntimeCache();

  RuntimeCache(const RuntimeCache&) = delete;
  RuntimeCache& operator=(const RuntimeCache&) = delete;

  // Called with the UID of each pod whose snapshot changed (its generation grew, or it went away).
  // Before Start().
  void SetListener(std::function<void(const std::string& uid)> listener);
  // Begins to relist.
  void Start();

  // Null when the runtime holds nothing of the pod, or when that is not known yet: see Synced().
  PodRuntimePtr Get(const std::string& uid) const;
  std::vector<PodRuntimePtr> All() const;
  // Whether a complete relist has succeeded since Start().
  bool Synced() const;

  // Reads one pod anew. Joins a read of the pod that waits to begin, never one that runs: what
  // `done` gets was asked for after this call. Null when the runtime holds nothing of the pod.
  void Refresh(const std::string& uid, Callback<PodRuntimePtr> done);
  // Lists everything and reads the pods that differ; `done` when they are read.
  void Relist(StatusCallback done);

  // Feed it with what FollowEvents() tells.
  void OnEvent(const EventNotice& notice);

  // What the caller just learnt from the runtime by a call of its own.
  void NoteSandbox(const std::string& uid, const SandboxStatus& status);
  void NoteContainer(const std::string& uid,
                     const SandboxId& sandbox,
                     const ContainerStatus& status);
  void NoteRemoved(const SandboxId& id);
  void NoteRemoved(const ContainerId& id);

 private:
  class Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace farlet::cri
