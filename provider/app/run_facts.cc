#include "provider/app/run_facts.h"

#include "provider/fargate/pod_facts.h"
#include "provider/pod/status_json.h"
#include "runtime/base/time_format.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <string>

namespace farlet::app {
namespace {

using cri::ContainerState;
using metering::Moment;
using nlohmann::json;

// What metav1.Time leaves out, and a little for the way there.
constexpr seconds kRounding{2};

std::optional<WallTime> ConditionTime(const json* status, const char* type) {
  const json* conditions = status == nullptr ? nullptr : pod::Member(*status, "conditions");
  if (conditions == nullptr || !conditions->is_array()) {
    return std::nullopt;
  }
  for (const json& condition : *conditions) {
    if (pod::TextOf(condition, "type") == type && pod::TextOf(condition, "status") == "True") {
      const auto time = ParseRfc3339(pod::TextOf(condition, "lastTransitionTime"));
      return time ? std::optional(*time) : std::nullopt;
    }
  }
  return std::nullopt;
}

Status ReadSize(const kube::Pod& pod, metering::PodRun& run) {
  if (!pod.raw) {
    return InvalidArgument("the pod is known by its labels only");
  }
  FARLET_ASSIGN(const fargate::PodFacts facts,
                fargate::PodFacts::FromJson(*pod.raw, pod.meta.object_namespace));
  const auto size = fargate::SizePod(facts);
  const auto noted = pod.meta.annotations.find(std::string(fargate::kCapacityAnnotation));
  const auto provisioned = noted == pod.meta.annotations.end()
                               ? Result<fargate::Configuration>(InvalidArgument("not noted"))
                               : fargate::ParseCapacity(noted->second);
  if (!size && !provisioned) {
    return size.error();
  }
  run.provisioned = provisioned ? *provisioned : size->provisioned;
  run.storage = size ? size->storage
                     : std::max(fargate::ComputeNeed(facts).storage, fargate::kDefaultStorage);
  return {};
}

std::optional<WallTime> LastEndOf(const json& container) {
  std::optional<WallTime> last;
  for (const char* state : {"state", "lastState"}) {
    const json* ended = pod::FindState(&container, state, "terminated");
    const auto time = ended == nullptr ? Result<WallTime>(NotFound("it has not ended"))
                                       : ParseRfc3339(pod::TextOf(*ended, "finishedAt"));
    if (time) {
      last = std::max(last, std::optional(*time));
    }
  }
  return last;
}

// The latest finishedAt in a status: what the runtime has forgotten.
std::optional<WallTime> LastEndBy(const json* status) {
  std::optional<WallTime> last;
  for (const char* list : {"containerStatuses", "initContainerStatuses"}) {
    const json* containers = status == nullptr ? nullptr : pod::Member(*status, list);
    if (containers == nullptr || !containers->is_array()) {
      continue;
    }
    for (const json& container : *containers) {
      last = std::max(last, LastEndOf(container));
    }
  }
  return last;
}

std::optional<WallTime> LastEndBy(const cri::PodRuntimePtr& runtime) {
  std::optional<WallTime> last;
  if (runtime == nullptr) {
    return last;
  }
  for (const cri::PodContainer& container : runtime->containers) {
    if (container.status.finished_at > WallTime()) {
      last = std::max(last, std::optional(container.status.finished_at));
    }
  }
  return last;
}

bool SomethingRuns(const cri::PodRuntimePtr& runtime) {
  return runtime != nullptr &&
         std::any_of(runtime->containers.begin(), runtime->containers.end(), [](const auto& view) {
           return view.status.state == ContainerState::kRunning ||
                  view.status.state == ContainerState::kUnknown;
         });
}

// Of a pod of which nothing runs: nothing of it would have been started again, so that it ended
// with its last container. Without its spec, or a runtime that knows it, there is nothing better to
// go by.
bool EndedWithContainers(const pod::PodView& view) {
  const kube::PodSpec& spec = view.pod->spec;
  const bool known =
      view.pod->raw != nullptr && view.runtime != nullptr && !view.runtime->containers.empty();
  if (!known || spec.restart_policy == "Never") {
    return true;
  }
  return spec.restart_policy == "OnFailure" && !spec.containers.empty() &&
         std::all_of(spec.containers.begin(), spec.containers.end(), [&](const auto& container) {
           const cri::PodContainer* newest = view.runtime->FindContainer(container.name);
           return newest != nullptr && newest->status.state == ContainerState::kExited &&
                  newest->status.exit_code == 0;
         });
}

// Of the oldest instance of a container that the runtime knows.
std::optional<WallTime> FirstStart(const cri::PodRuntime& runtime, const std::string& container) {
  std::optional<WallTime> first;
  for (const cri::PodContainer& instance : runtime.containers) {
    const cri::ContainerStatus& status = instance.status;
    if (status.metadata.name == container && status.started_at > WallTime()) {
      first = std::min(first.value_or(status.started_at), status.started_at);
    }
  }
  return first;
}

// When somebody asked for its deletion, of a pod that is being deleted.
std::optional<WallTime> AskedOf(const kube::Pod& pod) {
  if (!pod.meta.deletion_timestamp) {
    return std::nullopt;
  }
  return *pod.meta.deletion_timestamp - pod.meta.deletion_grace_period.value_or(seconds(0));
}

}  // namespace

bool IsMetered(const kube::Pod& pod, const fargate::Names& names) {
  const auto profile = pod.meta.labels.find(names.profile_label);
  return profile != pod.meta.labels.end() && !profile->second.empty();
}

Result<metering::PodRun> NewRun(const kube::Pod& pod,
                                const fargate::Names& names,
                                const fargate::Rates& rates) {
  const auto profile = pod.meta.labels.find(names.profile_label);
  metering::PodRun run{.uid = pod.meta.uid,
                       .object_namespace = pod.meta.object_namespace,
                       .name = pod.meta.name,
                       .profile = profile == pod.meta.labels.end() ? "" : profile->second,
                       .rates = rates};
  FARLET_TRY(ReadSize(pod, run));
  run.at(Moment::kCreated) = pod.meta.creation_timestamp;
  run.at(Moment::kScheduled) = ConditionTime(pod::Member(*pod.raw, "status"), "PodScheduled");
  return run;
}

std::optional<WallTime> BeginOf(const pod::PodView& view) {
  std::optional<WallTime> begin;
  if (view.runtime == nullptr || view.runtime->containers.empty()) {
    return begin;
  }
  for (const cri::SandboxStatus& status : view.runtime->sandboxes) {
    begin = std::min(begin.value_or(status.sandbox.created_at), status.sandbox.created_at);
  }
  return begin;
}

std::optional<WallTime> StartedOf(const pod::PodView& view) {
  std::optional<WallTime> last;
  if (view.runtime == nullptr) {
    return last;
  }
  for (const kube::Container& container : view.pod->spec.containers) {
    const std::optional<WallTime> first = FirstStart(*view.runtime, container.name);
    if (!first) {
      return std::nullopt;
    }
    last = std::max(last, first);
  }
  return last;
}

std::optional<WallTime> ReadyOf(const pod::PodView& view, WallTime now) {
  const auto time = ConditionTime(view.status.get(), "Ready");
  return time && now >= *time && now - *time < kRounding ? std::optional(now) : time;
}

std::optional<WallTime> EndOf(const pod::PodView& view, pod::PodStage stage, WallTime now) {
  if (stage == pod::PodStage::kRunning || SomethingRuns(view.runtime)) {
    return std::nullopt;
  }
  std::optional<WallTime> last = LastEndBy(view.runtime);
  if (!last) {
    last = LastEndBy(view.status.get());
  }
  const bool succeeded =
      view.status != nullptr && pod::TextOf(*view.status, "phase") == "Succeeded";
  if (last && (succeeded || EndedWithContainers(view))) {
    return std::min(*last, now);
  }
  const WallTime asked = AskedOf(*view.pod).value_or(now);
  return std::min(std::max(last.value_or(asked), asked), now);
}

}  // namespace farlet::app
