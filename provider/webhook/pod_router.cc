#include "provider/webhook/pod_router.h"

#include "kube/api/meta.h"
#include "kube/watch/informer.h"
#include "provider/fargate/routing.h"
#include "runtime/base/gate.h"
#include "runtime/base/log.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

namespace farlet::webhook {
namespace {

using fargate::RoutePlan;
using kube::Json;

constexpr size_t kMaxDeletionsAtOnce = 20;

// A pod without a node, as it is.
struct WaitingPod {
  kube::ObjectMeta meta;
  Json object;

  static Result<WaitingPod> FromJson(Json object) {
    WaitingPod pod;
    FARLET_ASSIGN(pod.meta, kube::ParseObjectMeta(object));
    pod.object = std::move(object);
    return pod;
  }
};

using WaitingPodPtr = std::shared_ptr<const WaitingPod>;

kube::ObjectReference ReferenceTo(const kube::ObjectMeta& meta) {
  return {.kind = "Pod",
          .api_version = "v1",
          .object_namespace = meta.object_namespace,
          .name = meta.name,
          .uid = meta.uid,
          .resource_version = meta.resource_version};
}

}  // namespace

class PodRouter::Impl : public std::enable_shared_from_this<PodRouter::Impl> {
 public:
  Impl(kube::Client& client,
       const Clock& clock,
       TimerService& timers,
       kube::EventRecorder& recorder,
       PodRouterOptions options)
      : client_(client),
        clock_(clock),
        recorder_(recorder),
        options_(std::move(options)),
        looker_(timers, options_.looks, [this] { Look(); }),
        pods_(client,
              clock,
              timers,
              {.path = "/api/v1/pods",
               .query = {{"fieldSelector", "spec.nodeName=,status.phase=Pending"}}},
              [this](const WaitingPodPtr& /*before*/, const WaitingPodPtr& after) {
                if (after != nullptr) {
                  looker_.LookSoon();
                }
              }) {}

  Gate& gate() { return gate_; }

  void Start() {
    pods_.Start();
    looker_.LookSoon();
  }

  void Stop() {
    gate_.Close();
    pods_.Stop();
    looker_.Stop();
  }

  void SetLeading(bool leading) {
    leading_ = leading;
    looker_.LookSoon();
  }

  void LookSoon() { looker_.LookSoon(); }

 private:
  // When deleting pods of one controller is tried again.
  struct Pause {
    SteadyTime until;
    seconds length{0};
  };

  // The looker's thread only, so that what it remembers needs no mutex.
  void Look() {
    const auto profiles = options_.profiles();
    if (!leading_ || profiles == nullptr || !pods_.synced()) {
      return;
    }
    const std::vector<WaitingPodPtr> pods = pods_.All();
    Forget(pods);
    size_t deletions = 0;
    for (const WaitingPodPtr& pod : pods) {
      const RoutePlan plan = fargate::PlanRoute(pod->object, *profiles, options_.admission);
      if (plan.kind == RoutePlan::Kind::kTell) {
        Tell(*pod, plan.message);
      } else if (plan.kind == RoutePlan::Kind::kRecreate && deletions < kMaxDeletionsAtOnce &&
                 !IsDeleted(*pod) && !Pausing(plan.owner)) {
        ++deletions;
        owners_.insert(plan.owner);
        Recreate(*pod, plan);
      }
    }
    BeginPauses();
    if (deletions == kMaxDeletionsAtOnce) {
      looker_.LookSoon();
    }
  }

  // Not if it has changed since: then the deletion has hit nothing.
  bool IsDeleted(const WaitingPod& pod) const {
    const auto deleted = deleted_.find(pod.meta.uid);
    return deleted != deleted_.end() && deleted->second == pod.meta.resource_version;
  }

  bool Pausing(const std::string& owner) const {
    const auto pause = pauses_.find(owner);
    return pause != pauses_.end() && clock_.Now() < pause->second.until;
  }

  // For the controllers of which pods have been deleted in this look: several of one at once are
  // one try.
  void BeginPauses() {
    for (const std::string& owner : owners_) {
      Pause& pause = pauses_[owner];
      pause.length = pause.length.count() == 0 ? options_.shortest_pause
                                               : std::min(pause.length * 2, options_.longest_pause);
      pause.until = clock_.Now() + pause.length;
    }
    owners_.clear();
  }

  // What is of pods that are gone and of pauses that are long over.
  void Forget(const std::vector<WaitingPodPtr>& pods) {
    std::unordered_set<std::string> there;
    for (const WaitingPodPtr& pod : pods) {
      there.insert(pod->meta.uid);
    }
    std::erase_if(told_, [&](const auto& entry) { return !there.contains(entry.first); });
    std::erase_if(deleted_, [&](const auto& entry) { return !there.contains(entry.first); });
    std::erase_if(pauses_, [&](const auto& entry) {
      return clock_.Now() > entry.second.until + options_.longest_pause;
    });
  }

  void Tell(const WaitingPod& pod, const std::string& message) {
    std::string& told = told_[pod.meta.uid];
    if (told != message) {
      told = message;
      recorder_.Record(ReferenceTo(pod.meta), kube::EventType::kWarning, "FargateProfile", message);
    }
  }

  void Recreate(const WaitingPod& pod, const RoutePlan& plan) {
    log::Info("a waiting pod is deleted so that it is made anew on Fargate",
              {{"namespace", pod.meta.object_namespace},
               {"pod", pod.meta.name},
               {"profile", plan.profile}});
    deleted_[pod.meta.uid] = pod.meta.resource_version;
    client_.Delete(kube::ResourcePath("v1", "pods", pod.meta.object_namespace, pod.meta.name),
                   {.precondition_uid = pod.meta.uid,
                    .precondition_resource_version = pod.meta.resource_version},
                   {},
                   [weak = weak_from_this(), reference = ReferenceTo(pod.meta),
                    message = plan.message](const Result<Json>& answer) {
                     EnterStep(weak,
                               [&](Impl& self) { self.OnDeleted(reference, message, answer); });
                   });
  }

  void OnDeleted(const kube::ObjectReference& pod,
                 const std::string& message,
                 const Result<Json>& answer) {
    if (answer) {
      recorder_.Record(pod, kube::EventType::kNormal, "FargateProfile", message);
      return;
    }
    // Not there, another one of its name, or just being bound: just as well.
    if (answer.error().code != Code::kNotFound && answer.error().http_status != 409) {
      log::Warning("cannot delete a waiting pod", {{"pod", pod.name}, {"error", answer.error()}});
    }
  }

  kube::Client& client_;
  const Clock& clock_;
  kube::EventRecorder& recorder_;
  const PodRouterOptions options_;
  Gate gate_;
  std::atomic<bool> leading_ = false;

  // Look() only.
  std::map<std::string, std::string> told_;     // pod uid → message
  std::map<std::string, std::string> deleted_;  // pod uid → resourceVersion
  std::map<std::string, Pause> pauses_;         // by uid of the controller
  std::unordered_set<std::string> owners_;      // of pods deleted in this look

  Looker looker_;
  kube::Informer<WaitingPod> pods_;
};

PodRouter::PodRouter(kube::Client& client,
                     const Clock& clock,
                     TimerService& timers,
                     kube::EventRecorder& recorder,
                     PodRouterOptions options)
    : impl_(std::make_shared<Impl>(client, clock, timers, recorder, std::move(options))) {}

PodRouter::~PodRouter() {
  impl_->Stop();
}

void PodRouter::Start() {
  impl_->Start();
}

void PodRouter::Stop() {
  impl_->Stop();
}

void PodRouter::SetLeading(bool leading) {
  impl_->SetLeading(leading);
}

void PodRouter::LookAgain() {
  impl_->LookSoon();
}

}  // namespace farlet::webhook
