#pragma once

#include "kube/client/client.h"
#include "kube/events/recorder.h"
#include "provider/fargate/admission.h"
#include "provider/webhook/looker.h"
#include "runtime/base/timer.h"

#include <functional>
#include <memory>

namespace farlet::webhook {

struct PodRouterOptions {
  fargate::AdmissionOptions admission;
  // The profiles to match now; null: not known yet.
  std::function<std::shared_ptr<const fargate::ProfileSet>()> profiles;
  LookerOptions looks{.look_again = seconds(60)};
  // Pods of one controller are not deleted again before this has passed, doubled each time up to
  // the longest: if they come back unrouted (the webhook is not asked), deleting does not help.
  seconds shortest_pause{30};
  seconds longest_pause{3600};
};

// Sees to the pods that wait for a node although a profile matches them, by fargate::PlanRoute:
// deletes those that their controller makes anew (unless they have changed in that moment), and
// records an event, once, about the others. Acts only while it leads. Thread safe. Everything
// outlives it.
class PodRouter {
 public:
  PodRouter(kube::Client& client,
            const Clock& clock,
            TimerService& timers,
            kube::EventRecorder& recorder,
            PodRouterOptions options);
  ~PodRouter();  // Stop()

  PodRouter(const PodRouter&) = delete;
  PodRouter& operator=(const PodRouter&) = delete;

  void Start();
  // Nothing runs afterwards. Idempotent.
  void Stop();
  void SetLeading(bool leading);
  // The profiles have changed.
  void LookAgain();

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace farlet::webhook
