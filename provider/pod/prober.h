#pragma once

#include "kube/api/pod.h"
#include "provider/pod/pod_events.h"
#include "provider/pod/probe_net.h"
#include "provider/pod/probe_results.h"
#include "runtime/base/clock.h"
#include "runtime/base/timer.h"
#include "runtime/cri/client.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace farlet::pod {

// A running container instance that has probes.
struct ProbeTarget {
  cri::ContainerId id;
  std::string container;  // its name in the spec
  std::string pod_ip;
  WallTime started_at;
  // What the API server knows of this very instance: an agent that was restarted must not take its
  // readiness away.
  bool was_started = false;
  bool was_ready = false;
};

// Runs the probes of all pods (kubelet-contract B3), driven by timers; no thread waits for one.
//
//   startup (if any) until it succeeds ──► liveness and readiness, each every `period`
//
// Thread safe. `on_change` runs without a lock held, on a thread of a client or of the timers, and
// must not block. It is not called after the destructor.
class Prober {
 public:
  using OnChange = std::function<void(const std::string& pod_uid)>;

  // What is referred to outlives the callbacks of `client` and `net`.
  Prober(cri::Client& client,
         NetProber& net,
         PodEvents events,
         const Clock& clock,
         TimerService& timers,
         OnChange on_change);
  ~Prober();

  // The instances of a pod that run now, replacing those it had. An instance that stays keeps its
  // state. While the pod is ending only readiness is probed.
  void SetTargets(const std::shared_ptr<const kube::Pod>& pod,
                  const std::vector<ProbeTarget>& targets,
                  bool ending);
  ProbeResults Results(const std::string& pod_uid) const;
  void Forget(const std::string& pod_uid);

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

// The text of a port: by number or by the name of a container's port; 0 when there is none.
uint16_t ResolvePort(const kube::PortReference& port, const kube::Container& container);

}  // namespace farlet::pod
