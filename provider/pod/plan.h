#pragma once

#include "kube/api/pod.h"
#include "provider/pod/crash_backoff.h"
#include "provider/pod/image.h"
#include "provider/pod/operation_table.h"
#include "provider/pod/probe_results.h"
#include "provider/pod/status.h"
#include "runtime/base/clock.h"
#include "runtime/cri/pod_runtime.h"
#include "runtime/cri/types.h"

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

namespace farlet::pod {

// What is to become of a pod:
//
//   kRun ──deleted, failed, terminal──► kEnd ──object gone──► kRemove
//     └──────────────object gone at once────────────────────────▲
enum class Wish {
  kRun,     // its containers are to run
  kEnd,     // nothing of it is to run; what is left stays readable (logs, status)
  kRemove,  // nothing of it is to be left
};

// One thing to be started now. Each is named in the OperationTable by OperationName().
struct PrepareVolumes {};

struct EnsureImage {
  std::string container;
};

struct CreateSandbox {
  uint32_t attempt = 0;
};

struct StopSandbox {
  cri::SandboxId id;
};

struct RemoveSandbox {  // with all its containers
  cri::SandboxId id;
  bool stop_first = false;
};

struct StartContainer {
  std::string container;
  cri::SandboxId sandbox;
  uint32_t restart_count = 0;
  std::optional<WallTime> previous_finished;  // of the instance that it follows
};

struct KillContainer {
  cri::ContainerId id;
  std::string container;
  std::string message;  // of the event Killing
  seconds grace{0};
  bool sooner = false;  // one is being stopped already, with a longer grace
};

struct RemoveContainer {
  cri::ContainerId id;
  std::string log_path;  // removed with it; empty: kept
};

using Action = std::variant<PrepareVolumes,
                            EnsureImage,
                            CreateSandbox,
                            StopSandbox,
                            RemoveSandbox,
                            StartContainer,
                            KillContainer,
                            RemoveContainer>;

std::string OperationName(const Action& action);
std::string ImageOperation(const std::string& container);
std::string StartOperation(const std::string& container);
inline constexpr char kVolumesOperation[] = "volumes";
inline constexpr char kCreateSandboxOperation[] = "create-sandbox";

// What the agent remembers of one container name.
struct ContainerProgress {
  std::optional<ReadyImage> image;  // for the next start, which uses it up
  CrashBackoff crash;
};

// The least that StopContainer gets (kubelet-contract B2.7).
inline constexpr seconds kMinimumGrace{2};

struct PlanInput {
  const kube::Pod& pod;
  const cri::PodRuntime& runtime;  // what is ours of it
  Wish wish = Wish::kRun;
  // Of kEnd and kRemove: how long the containers have, from `ending_since` on.
  seconds grace{30};
  SteadyTime ending_since;
  bool volumes_ready = false;
  const std::map<std::string, ContainerProgress>& containers;
  const OperationTable& operations;
  // Containers that are being stopped, and when the runtime will kill them.
  const std::map<cri::ContainerId, SteadyTime>& stopping;
  // Sandboxes whose StopPodSandbox succeeded.
  const std::set<cri::SandboxId>& stopped_sandboxes;
  const ProbeResults& probes;
  SteadyTime now;
  WallTime wall_now;
};

struct Plan {
  std::vector<Action> actions;
  // Containers that are held back by their crash back-off.
  std::map<std::string, WaitingReason> waiting;
  // No container will run again, whatever the wish.
  bool completed = false;
  // The pod is ending and no container runs or is being started.
  bool quiet = false;
  // Quiet, and no sandbox is up.
  bool finished = false;
  // The runtime has nothing left of it.
  bool empty = false;
  // When to look again without being told of a change.
  std::optional<SteadyTime> look_again;
};

// What to do next for a pod. Pure: the same input gives the same plan, and nothing that is in
// flight or held back (OperationTable) is planned again.
Plan PlanPod(const PlanInput& input);

// "back-off 10s restarting failed container=c pod=p_ns(uid)".
std::string CrashLoopMessage(seconds delay, const std::string& container, const kube::Pod& pod);

// The container or init container of that name; null when there is none.
const kube::Container* FindContainer(const kube::Pod& pod, const std::string& name);

// The restart count of a container instance, from its annotation, else its attempt.
uint32_t RestartCount(const cri::ContainerStatus& status);

}  // namespace farlet::pod
