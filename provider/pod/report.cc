#include "provider/pod/controller_impl.h"
#include "provider/pod/planner.h"
#include "provider/pod/status_checkpoint.h"
#include "runtime/base/log.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <utility>

namespace farlet::pod {
namespace {

using nlohmann::json;

// Conditions that have not changed since the last computation keep its time: the API server may not
// have it yet.
void KeepTransitionTimes(const json& before, json& status) {
  const auto old_conditions = before.find("conditions");
  const auto conditions = status.find("conditions");
  if (old_conditions == before.end() || conditions == status.end()) {
    return;
  }
  for (json& condition : *conditions) {
    for (const json& old : *old_conditions) {
      if (old.value("type", "") == condition.value("type", "") &&
          old.value("status", "") == condition.value("status", "") &&
          old.contains("lastTransitionTime")) {
        condition["lastTransitionTime"] = old["lastTransitionTime"];
      }
    }
  }
}

// A container that has not got anywhere yet.
bool IsBeingMade(const json& container) {
  const std::string reason = container.value(json::json_pointer("/state/waiting/reason"), "");
  return (reason == "ContainerCreating" || reason == "PodInitializing") &&
         container.value("restartCount", 0) == 0 &&
         container.value("lastState", json::object()).empty();
}

// Statuses on the way to Running wait for it: see Urgency. An init container that runs is news.
Urgency UrgencyOf(const json& status, bool ending) {
  if (ending) {
    return Urgency::kSoon;
  }
  if (status.value("phase", "") != "Pending") {
    return Urgency::kNow;
  }
  for (const char* list : {"containerStatuses", "initContainerStatuses"}) {
    const auto containers = status.find(list);
    if (containers != status.end() && containers->is_array() &&
        !std::all_of(containers->begin(), containers->end(), IsBeingMade)) {
      return Urgency::kNow;
    }
  }
  return Urgency::kSoon;
}

}  // namespace

// Read once for each instance, when it has ended.
void PodController::Impl::ReadTerminationMessages(PodRecord& record,
                                                  const cri::PodRuntime& runtime) {
  for (const cri::PodContainer& container : runtime.containers) {
    const cri::ContainerStatus& status = container.status;
    if (IsEnded(status) && !record.termination_messages.contains(status.id)) {
      record.termination_messages[status.id] = ReadTerminationMessage(Node(), *record.pod, status);
    }
  }
}

json PodController::Impl::MakeStatus(PodRecord& record, const Facts& facts, const Plan& plan) {
  ReadTerminationMessages(record, *facts.runtime);
  std::map<std::string, WaitingReason> waiting = record.waiting;
  for (const auto& [name, reason] : plan.waiting) {
    waiting[name] = reason;
  }
  std::map<cri::ContainerId, ProbeState> probes;
  for (const auto& [id, result] : facts.probes) {
    probes[id] = result.state;
  }
  const bool over = facts.wish == Wish::kEnd || plan.completed;
  json status = ComputeStatus({.pod = *record.pod,
                               .runtime = *facts.runtime,
                               .waiting = waiting,
                               .probes = probes,
                               .failure = record.failure,
                               .finished = plan.quiet && over,
                               .start_time = record.start_time,
                               .now = deps_.clock.WallNow(),
                               .host_ip = Node().host_ip,
                               .termination_messages = record.termination_messages});
  if (record.status) {
    KeepTransitionTimes(*record.status, status);
  }
  return status;
}

// Computes the status, keeps it, and hands it to the writer when it may be told.
void PodController::Impl::Report(PodRecord& record, const Facts& facts, const Plan& plan) {
  if (record.gone || record.orphan || !record.pod->raw) {
    return;
  }
  const bool was_final = record.final;
  if (!record.final && IsTerminalPhase(record.pod->phase)) {
    // An agent before this one has brought it to its end.
    const auto known = record.pod->raw->find("status");
    record.status =
        std::make_shared<const json>(known == record.pod->raw->end() ? json::object() : *known);
    record.final = true;
  }
  bool changed = false;
  if (!record.final) {
    json status = MakeStatus(record, facts, plan);
    const bool terminal = IsTerminalPhase(status.value("phase", ""));
    if (terminal && !plan.quiet) {
      return;  // not while something of it still runs
    }
    changed = !record.status || *record.status != status;
    record.final = terminal;
    record.status = std::make_shared<const json>(std::move(status));
  }
  if (record.final && !was_final) {
    changed = true;
    const std::lock_guard lock(admission_mutex_);
    active_.erase(record.uid);
  }
  const bool ending = record.pod->meta.deletion_timestamp.has_value();
  const bool then_delete = ending && plan.finished && record.final;
  if (!changed && record.submitted_for == record.pod->raw &&
      record.submitted_delete == then_delete) {
    return;
  }
  record.submitted_for = record.pod->raw;
  record.submitted_delete = then_delete;
  writer_->Submit({.uid = record.uid,
                   .pod_namespace = record.pod->meta.object_namespace,
                   .name = record.pod->meta.name,
                   .object = record.pod->raw,
                   .status = *record.status,
                   .urgency = record.final ? Urgency::kFinal : UrgencyOf(*record.status, ending),
                   .then_delete = then_delete});
}

void PodController::Impl::OnReport(PodRecord& record, StatusWriter::Report::Kind kind) {
  switch (kind) {
    case StatusWriter::Report::Kind::kAccepted:
      if (record.final && std::exchange(record.checkpointed, false)) {
        RemoveStatusCheckpoint(Node(), record.uid);
      }
      break;
    case StatusWriter::Report::Kind::kRefused:
      SaveCheckpoint(record);
      break;
    case StatusWriter::Report::Kind::kGone:
      // The informer will say so too. No need to wait for it, unless something still runs.
      if (record.final) {
        record.gone = true;
      } else {
        record.submitted_for = nullptr;
        mail_->queue().AddAfter(record.uid, options_.gone_check);
      }
      break;
  }
}

// The API server does not have the terminal status yet: it must survive this agent.
void PodController::Impl::SaveCheckpoint(PodRecord& record) {
  if (!record.final || record.checkpointed || !record.status) {
    return;
  }
  const Status saved = SaveStatusCheckpoint(Node(), record.uid, *record.status);
  if (saved) {
    record.checkpointed = true;
  } else {
    log::Error("cannot keep a terminal status",
               {{"pod", record.pod->Format()}, {"error", saved.error()}});
  }
}

}  // namespace farlet::pod
