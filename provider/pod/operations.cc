#include "provider/pod/controller_impl.h"
#include "provider/pod/image_credentials.h"
#include "runtime/base/log.h"

#include <fmt/format.h>

#include <utility>
#include <variant>

namespace farlet::pod {

// Notes the action as in flight and starts it. Whoever ends it says so in the record's
// OperationTable, in a letter unless it ends at once.
void PodController::Impl::Execute(PodRecord& record, const Facts& facts, const Action& action) {
  record.operations.Begin(OperationName(action));
  std::visit([&](const auto& step) { Run(record, facts, step); }, action);
}

kube::ObjectCache::Lookup PodController::Impl::LookUp(const kube::ObjectKey& key) const {
  return objects_->Get(key);
}

EnvContext PodController::Impl::MakeEnvContext(const PodRecord& record,
                                               const cri::PodRuntime& runtime) const {
  const NodeContext node = Node();
  EnvContext context{.pod = *record.pod,
                     .objects = lookup_,
                     .host_ip = node.host_ip,
                     .node_name = node.node_name,
                     .node_allocatable = node.allocatable};
  if (record.pod->spec.host_network) {
    context.pod_ips = {node.host_ip};
  } else if (!runtime.sandboxes.empty()) {
    context.pod_ips = runtime.sandboxes.front().ips;
  }
  return context;
}

// Files of all volumes: ends at once.
void PodController::Impl::Run(PodRecord& record, const Facts& facts, const PrepareVolumes&) {
  const SteadyTime now = deps_.clock.Now();
  const TokenLookup tokens =
      tokens_ ? tokens_->For(record.pod)
              : TokenLookup([](const kube::ServiceAccountTokenProjection&) -> Result<TokenValue> {
                  return InvalidArgument("service account tokens are not configured");
                });
  const Status made = SetUpVolumes(Node(), MakeEnvContext(record, *facts.runtime), tokens);
  if (made) {
    record.operations.Succeed(kVolumesOperation);
    record.plan_again = !record.volumes_ready;
    record.volumes_ready = true;
    // Spread over half a period, so that pods that started together do not stay together.
    const auto period = std::chrono::nanoseconds(options_.volume_resync);
    const std::lock_guard lock(random_mutex_);
    std::uniform_int_distribution<int64_t> spread(0, period.count() / 2);
    record.volumes_due = now + period + std::chrono::nanoseconds(spread(random_));
  } else if (made.error().code == Code::kUnavailable) {
    record.operations.FailUntil(kVolumesOperation, now + options_.object_wait);
  } else {
    events_.Warning(*record.pod, "FailedMount", made.error().message);
    record.operations.Fail(kVolumesOperation, now);
  }
}

void PodController::Impl::Run(PodRecord& record, const Facts&, const EnsureImage& action) {
  const std::string operation = ImageOperation(action.container);
  const kube::Container* container = FindContainer(*record.pod, action.container);
  if (container == nullptr) {
    record.operations.Succeed(operation);
    return;
  }
  std::vector<std::string> warnings;
  Result<std::vector<cri::ImageAuth>> credentials =
      ImageCredentials(*record.pod, container->image, lookup_, warnings);
  if (!credentials && credentials.error().code == Code::kUnavailable) {
    record.operations.FailUntil(operation, deps_.clock.Now() + options_.object_wait);
    return;
  }
  for (const std::string& warning : warnings) {
    events_.Warning(*record.pod, "FailedToRetrieveImagePullSecret", warning);
  }
  TellMoment(record, PodMoment::kImageBegun);
  puller_->Ensure(
      {.pod = record.pod,
       .container = action.container,
       .image = container->image,
       .policy = container->image_pull_policy,
       .credentials = credentials ? std::move(*credentials) : std::vector<cri::ImageAuth>()},
      [this, mail = mail_, uid = record.uid, name = action.container,
       operation](const ImagePuller::Outcome& outcome) {
        mail->Post(uid, [this, name, operation, outcome](PodRecord& to) {
          TellMoment(to, outcome.image ? PodMoment::kImageReady : PodMoment::kImageFailed);
          if (outcome.image) {
            Progress(to, name).image = outcome.image;
            to.waiting.erase(name);
            to.operations.Succeed(operation);
          } else {
            to.waiting[name] = outcome.failure;
            to.operations.FailUntil(operation, outcome.retry_at);
          }
        });
      });
}

ContainerProgress& PodController::Impl::Progress(PodRecord& record, const std::string& name) {
  return record.containers
      .try_emplace(name, ContainerProgress{.crash = CrashBackoff(options_.crash)})
      .first->second;
}

// Reads the pod anew; then the operation may be planned again, after its wait when it failed.
void PodController::Impl::RefreshThen(const std::string& uid,
                                      const std::string& operation,
                                      bool failed) {
  deps_.cache.Refresh(uid, [this, mail = mail_, uid, operation, failed](const auto&) {
    mail->Post(uid, [this, operation, failed](PodRecord& record) {
      if (failed) {
        record.operations.Fail(operation, deps_.clock.Now());
      } else {
        record.operations.Abandon(operation);
      }
    });
  });
}

}  // namespace farlet::pod
