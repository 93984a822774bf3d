#pragma once

#include "kube/client/client.h"
#include "runtime/base/backoff.h"
#include "runtime/base/clock.h"
#include "runtime/base/timer.h"

#include <nlohmann/json_fwd.hpp>

#include <functional>
#include <memory>
#include <string>

namespace farlet::pod {

// Whether a status may wait for a better one.
enum class Urgency {
  kSoon,  // on the way to something (ContainerCreating): written only if nothing better comes
  kNow,
  kFinal,  // a terminal phase, or the last one before the object is deleted: goes first
};

struct StatusUpdate {
  std::string uid;
  std::string pod_namespace;
  std::string name;
  // The pod as the informer has it.
  std::shared_ptr<const nlohmann::json> object;
  nlohmann::json status;
  Urgency urgency = Urgency::kNow;
  // Nothing of the pod runs any more and it is being deleted: once the API server has this status,
  // the object is deleted.
  bool then_delete = false;
};

// Brings statuses of pods to the API server, and deletes pods that have ended.
//
//   idle ──Submit──► waiting (kSoon: `soon`) ──► ready ──slot──► PATCH ──ok──► [DELETE ──ok──►
//   gone]
//    ▲                                            ▲                │ error        │ error
//    │                                            └───back-off─────┴──────────────┘
//    └── the API server has it ◄──────────────────────────────────┘
//
// For each pod one request at a time, the newest status wins, and nothing is sent when nothing
// differs from what the API server is known to have. At most `max_in_flight` requests at once,
// urgent ones first. Tries for ever with a capped back-off; a pod that is gone or has another UID
// is dropped.
//
// Thread safe. The listener runs on threads of the client, without a lock held, and must not block.
// After the destructor no listener starts any more; requests in flight end unheard.
class StatusWriter {
 public:
  struct Options {
    int max_in_flight = 16;
    milliseconds soon{2000};
    milliseconds soon_when_crowded{10'000};
    BackoffPolicy backoff{
        .initial = milliseconds(500), .max = milliseconds(10'000), .factor = 2.0, .jitter = 0.3};
  };

  struct Report {
    enum class Kind {
      kAccepted,  // the API server has the newest status that was submitted
      kRefused,   // a try failed; it is repeated
      kGone,      // the object is deleted, or is another one by now
    };
    std::string uid;
    Kind kind = Kind::kAccepted;
    Urgency urgency = Urgency::kNow;  // of what was submitted last
  };

  using Listener = std::function<void(const Report& report)>;

  // `client`, `clock` and `timers` outlive the callbacks of `client`.
  StatusWriter(kube::Client& client,
               const Clock& clock,
               TimerService& timers,
               Options options,
               Listener listener);
  ~StatusWriter();

  void Submit(StatusUpdate update);
  void Forget(const std::string& uid);
  // While many pods start or end, kSoon waits longer: what it would say is overtaken, and costs
  // them time.
  void SetCrowded(bool crowded);

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace farlet::pod
