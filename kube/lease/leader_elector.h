#pragma once

#include "kube/client/client.h"
#include "runtime/base/timer.h"

#include <functional>
#include <memory>
#include <string>

namespace farlet::kube {

struct LeaderOptions {
  std::string object_namespace;
  std::string name;      // of the lease
  std::string identity;  // of this candidate, different from all others
  // How long others wait for a sign of the leader.
  seconds duration{15};
  // A leader that could not renew for so long stops being one. A try is over, and that is noticed,
  // before `duration` is.
  milliseconds renew_deadline{9'000};
  // Between two tries of anybody.
  milliseconds retry{2'000};
};

// Who of several replicas does what only one may do, by a coordination.k8s.io Lease, as client-go
// does it: the leader renews it, the others watch it grow old. How old is counted from when a
// change of it was seen here, so that clocks need not agree.
//
//   reading ──held by another, not old──► waiting ──► reading
//      │ free, old, not there, ours
//      ▼
//   writing ──ok──► leading, waiting ──► reading
//      └─ conflict, failed: waiting; leading ends when renew_deadline is over
//
// Stop() lets the lease run out. Thread safe. `client` and `timers` outlive it.
class LeaderElector {
 public:
  // Called when leading begins (true) and ends (false), one call at a time, on a thread of the
  // client or the timers; must not block. Not called by Stop().
  using Listener = std::function<void(bool leading)>;

  LeaderElector(Client& client,
                const Clock& clock,
                TimerService& timers,
                LeaderOptions options,
                Listener listener);
  ~LeaderElector();  // Stop()

  LeaderElector(const LeaderElector&) = delete;
  LeaderElector& operator=(const LeaderElector&) = delete;

  void Start();
  // Waits for a listener that is running; none runs afterwards. Not from the listener. Idempotent.
  void Stop();

  bool leading() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace farlet::kube
