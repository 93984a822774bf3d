#pragma once

#include "kube/api/pod.h"
#include "provider/pod/operation_table.h"
#include "provider/pod/plan.h"
#include "provider/pod/status.h"
#include "runtime/base/clock.h"
#include "runtime/cri/types.h"

#include <nlohmann/json.hpp>

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

namespace farlet::pod {

// What the agent remembers of one pod while it runs. Only the pod's worker touches it. Nothing in
// it has to survive a restart: it is made again from the API object and the runtime's labels.
struct PodRecord {
  explicit PodRecord(std::string pod_uid) : uid(std::move(pod_uid)) {}

  const std::string uid;

  // --- what is wanted ---
  std::shared_ptr<const kube::Pod> pod;  // the newest, or the last before it was gone
  bool gone = false;                     // the API server has it no more
  // The pod was never seen in the API: it stands for what was found in the runtime, and is taken
  // for gone only when the API server has said so.
  bool orphan = false;
  bool admitted = false;
  bool references_set = false;
  WallTime start_time;
  std::optional<PodFailure> failure;
  std::optional<SteadyTime> ending_since;
  seconds grace{30};

  // --- what is under way ---
  OperationTable operations;
  std::map<std::string, ContainerProgress> containers;  // by name
  std::map<std::string, WaitingReason> waiting;         // by name: image, config and start errors
  std::map<cri::ContainerId, SteadyTime> stopping;
  std::set<cri::ContainerId> stopped;  // StopContainer said yes
  std::set<cri::SandboxId> stopped_sandboxes;
  std::set<std::string> held_back;  // crash loops that were announced
  bool volumes_ready = false;
  SteadyTime volumes_due;
  // Set when nothing new is to be started; read by operations that wait or run in several steps.
  std::shared_ptr<std::atomic<bool>> cancelled = std::make_shared<std::atomic<bool>>(false);
  // A step that ended at once changed what there is to plan.
  bool plan_again = false;

  // --- what is told ---
  std::map<cri::ContainerId, std::string> termination_messages;
  std::shared_ptr<const nlohmann::json> status;         // as last computed
  std::shared_ptr<const nlohmann::json> submitted_for;  // the object it was submitted against
  bool submitted_delete = false;
  // The terminal status. It is not computed again: what it was made of may be gone by then.
  bool final = false;
  bool checkpointed = false;
};

}  // namespace farlet::pod
