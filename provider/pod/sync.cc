#include "provider/pod/controller_impl.h"
#include "provider/pod/planner.h"
#include "provider/pod/references.h"
#include "runtime/base/log.h"
#include "runtime/base/time_format.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <utility>

namespace farlet::pod {
namespace {

// Steps that end at once (volumes) are followed by what they make possible in the same round.
constexpr int kMaxRounds = 4;

const cri::PodRuntimePtr kNothing = std::make_shared<const cri::PodRuntime>();

bool HasProbes(const kube::Pod& pod) {
  for (const auto* group : {&pod.spec.containers, &pod.spec.init_containers}) {
    for (const kube::Container& container : *group) {
      if (container.liveness_probe || container.readiness_probe || container.startup_probe) {
        return true;
      }
    }
  }
  return false;
}

bool IsOwn(const cri::Sandbox& sandbox, const std::string& node_name) {
  const auto owner = sandbox.labels.find(cri::labels::kOwner);
  return owner != sandbox.labels.end() && owner->second == node_name;
}

// A boolean of the API's status of this very container instance.
bool ApiSays(const kube::Pod& pod, const cri::ContainerId& id, const char* field) {
  if (!pod.raw || !pod.raw->contains("status")) {
    return false;
  }
  const nlohmann::json& status = (*pod.raw)["status"];
  for (const char* list : {"containerStatuses", "initContainerStatuses"}) {
    const auto statuses = status.find(list);
    if (statuses == status.end() || !statuses->is_array()) {
      continue;
    }
    for (const nlohmann::json& container : *statuses) {
      const std::string container_id = container.value("containerID", "");
      if (!id.value.empty() && container_id.ends_with("/" + id.value)) {
        const auto found = container.find(field);
        return found != container.end() && found->is_boolean() && found->get<bool>();
      }
    }
  }
  return false;
}

std::optional<WallTime> ApiStartTime(const kube::Pod& pod) {
  if (!pod.raw) {
    return std::nullopt;
  }
  const nlohmann::json::json_pointer pointer("/status/startTime");
  if (!pod.raw->contains(pointer) || !pod.raw->at(pointer).is_string()) {
    return std::nullopt;
  }
  const Result<WallTime> time = ParseRfc3339(pod.raw->at(pointer).get<std::string>());
  return time ? std::optional(*time) : std::nullopt;
}

// What stands for a pod of which only the runtime knows.
std::shared_ptr<const kube::Pod> PodOfRuntime(const std::string& uid,
                                              const cri::PodRuntime& runtime) {
  auto pod = std::make_shared<kube::Pod>();
  pod->meta.uid = uid;
  pod->meta.name = runtime.Label(cri::labels::kPodName);
  pod->meta.object_namespace = runtime.Label(cri::labels::kPodNamespace);
  for (const cri::PodContainer& container : runtime.containers) {
    const auto grace = container.status.annotations.find(kPodGraceAnnotation);
    if (grace != container.status.annotations.end()) {
      pod->spec.termination_grace_period = seconds(std::atoll(grace->second.c_str()));
    }
  }
  return pod;
}

}  // namespace

// The part of the pod's runtime that this agent made; null when there is none.
cri::PodRuntimePtr PodController::Impl::OwnRuntime(const std::string& uid) const {
  cri::PodRuntimePtr runtime = deps_.cache.Get(uid);
  if (!runtime) {
    return nullptr;
  }
  std::set<cri::SandboxId> own;
  for (const cri::SandboxStatus& status : runtime->sandboxes) {
    if (IsOwn(status.sandbox, node_.node_name)) {
      own.insert(status.sandbox.id);
    }
  }
  const bool all_containers =
      std::all_of(runtime->containers.begin(), runtime->containers.end(),
                  [&](const auto& c) { return own.contains(c.sandbox) && !IsCutOff(c.status); });
  if (own.empty()) {
    return nullptr;
  }
  if (all_containers && own.size() == runtime->sandboxes.size()) {
    return runtime;
  }
  auto part = std::make_shared<cri::PodRuntime>(*runtime);
  std::erase_if(part->sandboxes, [&](const auto& s) { return !own.contains(s.sandbox.id); });
  std::erase_if(part->containers, [&](const auto& c) { return !own.contains(c.sandbox); });
  for (cri::PodContainer& container : part->containers) {
    if (IsCutOff(container.status)) {
      container.status.state = cri::ContainerState::kCreated;
    }
  }
  return part;
}

void PodController::Impl::Work(PodRecord& record, const PodSnapshot& snapshot) {
  Facts facts{.runtime = OwnRuntime(record.uid)};
  if (!facts.runtime) {
    facts.runtime = kNothing;
  }
  Observe(record, snapshot, *facts.runtime);
  if (!record.pod) {
    ForgetPod(record.uid);  // nobody knows it any more
    return;
  }
  if (record.orphan && !record.gone) {
    ConfirmOrphan(record);
    return;
  }
  facts.wish = DecideWish(record);
  if (facts.wish == Wish::kRemove) {
    TellView(record, facts);  // while the runtime still knows when its containers ended
  }
  UpdateProbes(record, facts);
  const bool refresh =
      facts.wish == Wish::kRun && record.volumes_ready && record.volumes_due <= deps_.clock.Now();
  if (refresh && record.operations.MayBegin(kVolumesOperation, deps_.clock.Now())) {
    Execute(record, facts, PrepareVolumes{});
  }
  Plan plan;
  for (int round = 0; round < kMaxRounds; ++round) {
    record.plan_again = false;
    plan = MakePlan(record, facts);
    for (const Action& action : plan.actions) {
      Execute(record, facts, action);
    }
    if (!record.plan_again) {
      break;
    }
  }
  if (facts.wish == Wish::kRemove && RemoveRest(record, facts, plan)) {
    return;  // the record is gone
  }
  AnnounceCrashLoops(record, plan);
  ForgetInstances(record, *facts.runtime);
  Report(record, facts, plan);
  WakeLater(record, facts, plan);
  Publish(record, facts);
  if (facts.wish != Wish::kRemove) {
    TellView(record, facts);
  }
}

// Takes in what the API server says of the pod.
void PodController::Impl::Observe(PodRecord& record,
                                  const PodSnapshot& snapshot,
                                  const cri::PodRuntime& runtime) {
  if (snapshot) {
    const bool first = !record.pod || record.orphan;
    const bool described_anew =
        !first && (record.pod->meta.labels != snapshot->meta.labels ||
                   record.pod->meta.annotations != snapshot->meta.annotations);
    record.pod = snapshot;
    record.orphan = false;
    if (first) {
      FirstSight(record, runtime);
    } else if (described_anew) {
      record.volumes_due = {};  // downward API files show them
    }
    return;
  }
  if (record.pod && !record.orphan) {
    record.gone = true;
  } else if (!runtime.sandboxes.empty()) {
    record.orphan = true;
    record.pod = PodOfRuntime(record.uid, runtime);
  } else if (record.orphan) {
    // It went away by itself while the API server was asked; its folders are still to be removed.
    record.gone = true;
  }
}

// A pod that this agent has not handled before: new, or left by an agent that was here before.
void PodController::Impl::FirstSight(PodRecord& record, const cri::PodRuntime& runtime) {
  const std::optional<WallTime> started = ApiStartTime(*record.pod);
  record.start_time = started.value_or(deps_.clock.WallNow());
  {
    const std::lock_guard lock(checkpoints_mutex_);
    auto node = checkpoints_.extract(record.uid);
    if (!node.empty()) {
      record.status = std::make_shared<const nlohmann::json>(std::move(node.mapped()));
      record.final = true;
      record.checkpointed = true;
    }
  }
  for (const cri::PodContainer& container : runtime.containers) {
    const cri::ContainerStatus& status = container.status;
    const uint32_t restarts = RestartCount(status);
    const auto [progress, newest] = record.containers.try_emplace(
        ContainerName(status), ContainerProgress{.crash = CrashBackoff(options_.crash)});
    if (newest && restarts > 0) {
      progress->second.crash.Seed(static_cast<int>(std::min(restarts, 10u)), status.started_at);
    }
  }
  const bool ended = record.final || IsTerminalPhase(record.pod->phase);
  const bool adopted = started || !runtime.sandboxes.empty();
  if (ended || record.pod->meta.deletion_timestamp) {
    record.admitted = true;
  } else if (adopted && !record.pod->invalid) {
    record.admitted = true;
    const std::lock_guard lock(admission_mutex_);
    active_[record.uid] = record.pod;
  } else {
    Admit(record);
  }
  if (record.pod->meta.deletion_timestamp) {
    // Deleted before this agent looked: some of the grace may have passed.
    const seconds grace =
        record.pod->meta.deletion_grace_period.value_or(record.pod->spec.termination_grace_period);
    const auto asked = *record.pod->meta.deletion_timestamp - grace;
    const auto passed =
        std::clamp<std::chrono::nanoseconds>(deps_.clock.WallNow() - asked, seconds(0), grace);
    record.ending_since =
        deps_.clock.Now() - std::chrono::duration_cast<SteadyTime::duration>(passed);
  }
}

void PodController::Impl::Admit(PodRecord& record) {
  record.admitted = true;
  std::optional<PodFailure> refusal;
  {
    const NodeContext node = Node();
    const std::lock_guard lock(admission_mutex_);
    std::vector<PodSnapshot> active;
    for (const auto& [uid, pod] : active_) {
      active.push_back(pod);
    }
    if (deps_.admission) {
      refusal = deps_.admission(*record.pod, active, node);
    }
    if (!refusal && record.pod->invalid) {
      refusal = PodFailure{.reason = "InvalidPod", .message = record.pod->invalid->message};
    }
    if (!refusal) {
      active_[record.uid] = record.pod;
    }
  }
  if (refusal) {
    events_.Warning(*record.pod, refusal->reason, refusal->message);
    log::Warning("pod refused", {{"pod", record.pod->Format()},
                                 {"reason", refusal->reason},
                                 {"message", refusal->message}});
    record.failure =
        PodFailure{.reason = refusal->reason, .message = "Pod was rejected: " + refusal->message};
  }
}

void PodController::Impl::CheckDeadline(PodRecord& record) {
  const std::optional<seconds> deadline = record.pod->spec.active_deadline;
  if (!deadline || record.failure || record.final ||
      deps_.clock.WallNow() < record.start_time + *deadline) {
    return;
  }
  const std::string message = "Pod was active on the node longer than the specified deadline";
  events_.Normal(*record.pod, "DeadlineExceeded", message);
  record.failure = PodFailure{.reason = "DeadlineExceeded", .message = message};
}

Wish PodController::Impl::DecideWish(PodRecord& record) {
  Wish wish = Wish::kRun;
  if (record.gone) {
    wish = Wish::kRemove;
  } else {
    const bool ended = record.final || IsTerminalPhase(record.pod->phase) ||
                       record.pod->meta.deletion_timestamp.has_value();
    if (!ended) {
      CheckDeadline(record);
    }
    wish = ended || record.failure ? Wish::kEnd : Wish::kRun;
  }
  if (wish != Wish::kRun) {
    BeginEnding(record);
  } else {
    record.grace = record.pod->spec.termination_grace_period;
    if (!std::exchange(record.references_set, true)) {
      const std::vector<kube::ObjectKey> keys = ReferencedObjects(*record.pod);
      {
        const std::lock_guard lock(records_mutex_);
        for (const kube::ObjectKey& key : keys) {
          users_[key].insert(record.uid);
        }
      }
      objects_->SetReferences(record.uid, keys);
    }
  }
  return wish;
}

// The grace period may only shrink.
void PodController::Impl::BeginEnding(PodRecord& record) {
  const kube::Pod& pod = *record.pod;
  const bool first = !record.cancelled->exchange(true);
  const seconds grace =
      pod.meta.deletion_timestamp
          ? pod.meta.deletion_grace_period.value_or(pod.spec.termination_grace_period)
          : pod.spec.termination_grace_period;
  record.grace = first ? grace : std::min(record.grace, grace);
  if (!record.ending_since) {
    record.ending_since = deps_.clock.Now();
  }
}

void PodController::Impl::UpdateProbes(PodRecord& record, Facts& facts) {
  if (!HasProbes(*record.pod)) {
    return;
  }
  std::vector<ProbeTarget> targets;
  for (const cri::PodContainer& container : facts.runtime->containers) {
    const cri::ContainerStatus& status = container.status;
    if (status.state != cri::ContainerState::kRunning) {
      continue;
    }
    ProbeTarget target{.id = status.id,
                       .container = ContainerName(status),
                       .started_at = status.started_at,
                       .was_started = ApiSays(*record.pod, status.id, "started"),
                       .was_ready = ApiSays(*record.pod, status.id, "ready")};
    for (const cri::SandboxStatus& sandbox : facts.runtime->sandboxes) {
      if (sandbox.sandbox.id == container.sandbox && !sandbox.ips.empty()) {
        target.pod_ip = sandbox.ips.front();
      }
    }
    if (record.pod->spec.host_network) {
      target.pod_ip = Node().host_ip;
    }
    targets.push_back(std::move(target));
  }
  prober_->SetTargets(record.pod, targets, facts.wish != Wish::kRun);
  facts.probes = prober_->Results(record.uid);
}

Plan PodController::Impl::MakePlan(PodRecord& record, const Facts& facts) {
  return PlanPod({.pod = *record.pod,
                  .runtime = *facts.runtime,
                  .wish = facts.wish,
                  .grace = record.grace,
                  .ending_since = record.ending_since.value_or(deps_.clock.Now()),
                  .volumes_ready = record.volumes_ready,
                  .containers = record.containers,
                  .operations = record.operations,
                  .stopping = record.stopping,
                  .stopped_sandboxes = record.stopped_sandboxes,
                  .probes = facts.probes,
                  .now = deps_.clock.Now(),
                  .wall_now = deps_.clock.WallNow()});
}

// One event for each time that a container is held back.
void PodController::Impl::AnnounceCrashLoops(PodRecord& record, const Plan& plan) {
  std::erase_if(record.held_back,
                [&](const std::string& name) { return !plan.waiting.contains(name); });
  for (const auto& [name, reason] : plan.waiting) {
    if (record.held_back.insert(name).second) {
      events_.Warning(
          *record.pod, name, "BackOff",
          "Back-off restarting failed container " + name + " in pod " + record.pod->Format());
    }
  }
}

// Drops what is remembered of instances that the runtime has no more.
void PodController::Impl::ForgetInstances(PodRecord& record, const cri::PodRuntime& runtime) {
  std::set<cri::ContainerId> containers;
  for (const cri::PodContainer& container : runtime.containers) {
    containers.insert(container.status.id);
  }
  std::set<cri::SandboxId> sandboxes;
  for (const cri::SandboxStatus& status : runtime.sandboxes) {
    sandboxes.insert(status.sandbox.id);
  }
  const auto is_gone = [&](const auto& item) { return !containers.contains(item.first); };
  std::erase_if(record.stopping, is_gone);
  std::erase_if(record.termination_messages, is_gone);
  std::erase_if(record.stopped, [&](const auto& id) { return !containers.contains(id); });
  std::erase_if(record.stopped_sandboxes, [&](const auto& id) { return !sandboxes.contains(id); });
}

void PodController::Impl::WakeLater(PodRecord& record, const Facts& facts, const Plan& plan) {
  std::optional<SteadyTime> wake = plan.look_again;
  const auto consider = [&](SteadyTime when) { wake = wake ? std::min(*wake, when) : when; };
  const SteadyTime now = deps_.clock.Now();
  if (facts.wish == Wish::kRun) {
    if (record.volumes_ready && !record.pod->spec.volumes.empty()) {
      consider(
          std::max(record.volumes_due, record.operations.RetryAt(kVolumesOperation).value_or(now)));
    }
    if (record.pod->spec.active_deadline) {
      const auto left =
          record.start_time + *record.pod->spec.active_deadline - deps_.clock.WallNow();
      consider(now + std::max<WallTime::duration>(left, milliseconds(1)));
    }
  }
  if (wake) {
    mail_->queue().AddAfter(record.uid,
                            std::max<SteadyTime::duration>(*wake - now, milliseconds(1)));
  }
}

void PodController::Impl::Publish(const PodRecord& record, const Facts& facts) {
  PodView view{.pod = record.pod, .status = record.status, .runtime = facts.runtime};
  const std::lock_guard lock(records_mutex_);
  views_[record.uid] = std::move(view);
}

void PodController::Impl::TellMoment(const PodRecord& record, PodMoment moment) {
  if (deps_.observer != nullptr && record.pod) {
    deps_.observer->OnMoment(*record.pod, moment, deps_.clock.WallNow());
  }
}

void PodController::Impl::TellView(const PodRecord& record, const Facts& facts) {
  if (deps_.observer == nullptr) {
    return;
  }
  const PodStage stage = facts.wish == Wish::kRemove ? PodStage::kRemoved
                         : record.final              ? PodStage::kEnded
                                                     : PodStage::kRunning;
  deps_.observer->OnView({.pod = record.pod, .status = record.status, .runtime = facts.runtime},
                         stage, deps_.clock.WallNow());
}

}  // namespace farlet::pod
