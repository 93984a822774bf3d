#pragma once

#include "kube/client/client.h"
#include "runtime/base/timer.h"

#include <memory>
#include <string>

namespace farlet::kube {

struct LeaseOptions {
  std::string object_namespace = "kube-node-lease";
  std::string name;    // the node's name
  std::string holder;  // spec.holderIdentity
  seconds duration{40};
  // A quarter of the duration, lengthened at random by up to `jitter` of itself.
  milliseconds renew_interval{10'000};
  double jitter = 0.04;
};

// Creates a coordination.k8s.io Lease and renews it for as long as it lives: the heartbeat that
// tells the control plane that the node is there. Renewal is a PUT of the object as it was last
// seen; somebody else's change (409) or its deletion (404) is met by reading it again at once.
//
//   reading ──found──► renewing ──ok──► waiting 10 s ──► renewing
//      │  ▲              │ 404, 409: reading; other: waiting with back-off 100 ms … 7 s, reading
//      └──┴─ not there: creating
//
// Thread safe. `client` and `timers` outlive it.
class LeaseKeeper {
 public:
  LeaseKeeper(Client& client, const Clock& clock, TimerService& timers, LeaseOptions options);
  // Stops; the lease stays and runs out.
  ~LeaseKeeper();

  LeaseKeeper(const LeaseKeeper&) = delete;
  LeaseKeeper& operator=(const LeaseKeeper&) = delete;

  void Start();
  // Idempotent.
  void Stop();

  // The UID of the node, which owns the lease; another one than before is written at once, as the
  // lease of a node that is gone is collected. Empty: not known.
  void SetOwner(const std::string& node_uid);

  // Steady time of the last successful renewal; epoch when there was none.
  SteadyTime last_renewal() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace farlet::kube
