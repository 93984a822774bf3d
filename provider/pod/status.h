#pragma once

#include "kube/api/pod.h"
#include "runtime/base/clock.h"
#include "runtime/cri/pod_runtime.h"

#include <nlohmann/json_fwd.hpp>

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace farlet::pod {

// Why a container does not run (yet): the reason and message of state.waiting
// (kubelet-contract B2.4: ErrImagePull, CrashLoopBackOff, CreateContainerConfigError, …).
struct WaitingReason {
  std::string reason;
  std::string message;
};

// The pod as a whole will not run or has ended: status.reason and status.message with phase Failed.
struct PodFailure {
  std::string reason;
  std::string message;
};

// What probes say about one running container instance.
struct ProbeState {
  bool started = false;  // no startup probe, or it succeeded
  bool ready = false;    // started, and no readiness probe or it succeeds
};

struct StatusInput {
  const kube::Pod& pod;
  const cri::PodRuntime& runtime;  // empty when the runtime has nothing of the pod
  // By container name, init containers included.
  const std::map<std::string, WaitingReason>& waiting;
  // By container id; a running container without an entry has no probes (started and ready).
  const std::map<cri::ContainerId, ProbeState>& probes;
  std::optional<PodFailure> failure;
  // The pod is going away and nothing of it runs any more: terminal phase is due, containers
  // without an end are reported as ContainerStatusUnknown.
  bool finished = false;
  WallTime start_time;  // when the node first saw the pod
  WallTime now;
  std::string host_ip;
  // Termination messages by container id, read when the container ended.
  const std::map<cri::ContainerId, std::string>& termination_messages;
};

// The whole PodStatus as the API wants it (kubelet-contract B2.4–B2.6). Pure. What the API has now
// (pod.raw) is read for: phase (never left once terminal), lastTransitionTime of unchanged
// conditions, conditions of other owners, restartCount floors and container states that the runtime
// no longer knows.
nlohmann::json ComputeStatus(const StatusInput& input);

bool IsTerminalPhase(std::string_view phase);

// The strategic merge patch that makes the API's status (`current`, may be null) into `desired`,
// with metadata.uid as a guard; nullopt when nothing differs.
std::optional<nlohmann::json> StatusPatch(const std::string& uid,
                                          const nlohmann::json& current,
                                          const nlohmann::json& desired);

}  // namespace farlet::pod
