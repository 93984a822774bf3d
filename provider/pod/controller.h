#pragma once

#include "kube/client/client.h"
#include "kube/events/recorder.h"
#include "kube/watch/informer.h"
#include "provider/pod/crash_backoff.h"
#include "provider/pod/env.h"
#include "provider/pod/image_puller.h"
#include "provider/pod/lookup.h"
#include "provider/pod/node_context.h"
#include "provider/pod/observer.h"
#include "provider/pod/probe_net.h"
#include "provider/pod/status_writer.h"
#include "provider/pod/volumes.h"
#include "runtime/base/clock.h"
#include "runtime/base/timer.h"
#include "runtime/cri/client.h"
#include "runtime/cri/runtime_cache.h"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace farlet::pod {

// Whether a new pod may run here, given those that do; a reason to refuse it otherwise. Pure.
using Admission = std::function<std::optional<PodFailure>(
    const kube::Pod& pod,
    const std::vector<std::shared_ptr<const kube::Pod>>& active,
    const NodeContext& node)>;

// The service account tokens of pods (service_account_token.h). Thread safe.
class PodTokens {
 public:
  virtual ~PodTokens() = default;
  // What volumes read; asks the API server for what is missing or due, and tells when it comes.
  virtual TokenLookup For(std::shared_ptr<const kube::Pod> pod) = 0;
  virtual void Forget(const std::string& pod_uid) = 0;
};

// Runs the pods of this node (provider/pod/README.md).
//
//   informer ─┐  key = UID   ┌────────────── one worker at a time per pod ──────────────┐
//   runtime ──┼─► WorkQueue ─►│ letters → newest facts → PlanPod → start actions → status │
//   letters ──┘              └─────────────────────────────────────────────────────────┘
//        ▲                                                │ asynchronous calls
//        └──────────── completion posts a letter ◄────────┘
//
// Nothing is decided before both the API server and the runtime have given a complete list; then
// what runs already is adopted as it is. A worker never waits: see ARCHITECTURE, "Threads and
// waiting". Everything may be repeated, so an agent that dies at any point is continued by the
// next.
class PodController {
 public:
  struct Options {
    int workers = 3;
    int max_sandbox_creations = 0;  // 0: the cores, 2 at least
    int max_removals = 2;
    ImagePuller::Options images;
    StatusWriter::Options status;
    CrashBackoff::Limits crash;
    // How often volumes are brought up to date without being told of a change (and up to half
    // longer, at random).
    seconds volume_resync{60};
    seconds garbage_period{60};
    // How long an object that is still being read is waited for before looking again.
    seconds object_wait{5};
    // When a pod of which the API server said that it is gone is looked for once more: for a moment
    // after its start it says so (404) of a pod that its NodeRestriction has not read yet.
    milliseconds gone_check{5000};
  };

  // All outlive the controller, and the callbacks of the clients: destroy the controller, then the
  // clients, then the rest.
  struct Dependencies {
    cri::Client& runtime;
    cri::RuntimeCache& cache;
    kube::Client& api;
    kube::EventRecorder& recorder;
    const Clock& clock;
    TimerService& timers;
    NetProber& net_prober;
    Admission admission;  // empty: everything is admitted
    // Whether `admission` can judge; asked until it is true, and no pod is looked at before. Null:
    // at once.
    std::function<bool()> ready = nullptr;
    // Makes the token source; `changed` is to be called when a token has come. Empty: no tokens.
    std::function<std::unique_ptr<PodTokens>(std::function<void(const std::string& uid)> changed)>
        make_tokens;
    // Service variables of a pod; kUnavailable while services have not been read. Empty: none.
    std::function<Result<std::map<std::string, std::string>>(const kube::Pod& pod)> service_env;
    // The runtime handler of a RuntimeClass; kUnavailable while they have not been read. Empty: no
    // class is known.
    std::function<Result<std::string>(const std::string& runtime_class)> runtime_handler;
    PodObserver* observer = nullptr;  // null: nobody looks on
  };

  // Sets the cache's listener; no I/O. The cache is started by its owner afterwards.
  PodController(Dependencies dependencies, NodeContext node, Options options);
  // Stop().
  ~PodController();

  PodController(const PodController&) = delete;
  PodController& operator=(const PodController&) = delete;

  void Start();
  // Ends workers, watches and probes; pods run on. Idempotent.
  void Stop();

  void SetNodeFacts(std::string host_ip, kube::ResourceList allocatable);
  // What Dependencies ask for was read or has changed: pods that wait for it look again.
  void LookAgain();

  // --- for the kubelet's API ---

  // Every pod that the controller knows, with its view of the status. Thread safe.
  std::vector<PodView> Pods() const;
  // True once both lists were complete and pods are handled.
  bool Synced() const;
  // When a worker last took something up: at least every `garbage_period` while all is well.
  SteadyTime last_activity() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace farlet::pod
