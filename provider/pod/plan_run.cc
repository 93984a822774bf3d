#include "provider/pod/cri_config.h"
#include "provider/pod/planner.h"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace farlet::pod {
namespace {

// A status of the API that tells of an instance which ran, not only of one that was made.
bool HasRun(const nlohmann::json& status) {
  const auto has = [&](const char* pointer) {
    return status.contains(nlohmann::json::json_pointer(pointer));
  };
  return !status.value("containerID", "").empty() &&
         (has("/state/running") || has("/state/terminated") || has("/lastState/terminated"));
}

// What the API server last heard of a container that the runtime may have forgotten.
uint32_t NextRestartCountByApi(const kube::Pod& pod, const std::string& container) {
  if (!pod.raw) {
    return 0;
  }
  for (const char* list : {"/status/containerStatuses", "/status/initContainerStatuses"}) {
    const nlohmann::json::json_pointer pointer(list);
    if (!pod.raw->contains(pointer) || !pod.raw->at(pointer).is_array()) {
      continue;
    }
    for (const nlohmann::json& status : pod.raw->at(pointer)) {
      if (status.is_object() && status.value("name", "") == container && HasRun(status)) {
        return status.value("restartCount", 0u) + 1;
      }
    }
  }
  return 0;
}

}  // namespace

void Planner::Run() {
  if (!in_.volumes_ready) {
    Begin(PrepareVolumes{});
  }
  if (sandbox_ == nullptr) {
    ReplaceSandbox();
  }
  for (const Container& container : in_.pod.spec.init_containers) {
    CheckRunning(container);
  }
  for (const Container& container : in_.pod.spec.containers) {
    CheckRunning(container);
  }
  if (!RunInitContainers()) {
    return;
  }
  for (const Container& container : in_.pod.spec.containers) {
    WantStarted(container);
  }
}

// All app containers have ended and none may run again; or the pod cannot go on.
bool Planner::Completed() const {
  if (InitFailed() || SandboxIsLost()) {
    return true;
  }
  const auto& containers = in_.pod.spec.containers;
  return !containers.empty() &&
         std::all_of(containers.begin(), containers.end(), [this](const Container& container) {
           const cri::PodContainer* newest = Newest(container.name);
           return newest != nullptr && IsEnded(newest->status) &&
                  !MayRestart(container, newest->status) &&
                  !in_.operations.Running(StartOperation(container.name));
         });
}

bool Planner::InitFailed() const {
  const auto& containers = in_.pod.spec.init_containers;
  return std::any_of(containers.begin(), containers.end(), [this](const Container& container) {
    const cri::PodContainer* newest = Newest(container.name);
    return newest != nullptr && IsEnded(newest->status) && newest->status.exit_code != 0 &&
           !MayRestart(container, newest->status) &&
           !in_.operations.Running(StartOperation(container.name));
  });
}

// The sandbox of a pod that is not to be restarted is gone: with restartPolicy Never it is not
// made again once a container existed (kubelet-contract B2.1).
bool Planner::SandboxIsLost() const {
  return in_.pod.spec.restart_policy == "Never" && sandbox_ == nullptr &&
         !in_.runtime.sandboxes.empty() && !in_.runtime.containers.empty() && !Starting();
}

// The old sandbox is stopped with what still runs in it before a new one is made.
void Planner::ReplaceSandbox() {
  uint32_t attempt = 0;
  if (!in_.runtime.sandboxes.empty()) {
    const cri::Sandbox& old = in_.runtime.sandboxes.front().sandbox;
    attempt = old.metadata.attempt + 1;
    bool live = false;
    for (const cri::PodContainer& container : in_.runtime.containers) {
      if (!IsEnded(container.status)) {
        EndInstance(container, ContainerName(container.status));
        live = true;
      }
    }
    if (live) {
      return;
    }
    if (!in_.stopped_sandboxes.contains(old.id)) {
      Begin(StopSandbox{.id = old.id});
      return;
    }
  }
  Begin(CreateSandbox{.attempt = attempt});
}

// Stops a running container that has to be restarted.
void Planner::CheckRunning(const Container& container) {
  const cri::PodContainer* newest = Newest(container.name);
  if (newest == nullptr || !IsLive(newest->status) ||
      in_.operations.Running(StartOperation(container.name))) {
    return;
  }
  const cri::ContainerStatus& status = newest->status;
  if (status.state == cri::ContainerState::kUnknown) {
    Restart(container, "is in unknown state");
    return;
  }
  const auto hash = status.annotations.find(kHashAnnotation);
  if (hash != status.annotations.end() && hash->second != ContainerHash(container)) {
    Restart(container, "definition changed");
    return;
  }
  const auto probes = in_.probes.find(status.id);
  if (probes == in_.probes.end() || !probes->second.failed) {
    return;
  }
  const bool startup = *probes->second.failed == ProbeType::kStartup;
  Restart(container, startup ? "failed startup probe" : "failed liveness probe");
}

void Planner::Restart(const Container& container, std::string_view why) {
  const cri::ContainerStatus& status = Newest(container.name)->status;
  if (in_.stopping.contains(status.id)) {
    return;
  }
  const bool restarts = IsSidecar(container) || in_.pod.spec.restart_policy != "Never";
  std::optional<seconds> grace;
  const auto probes = in_.probes.find(status.id);
  if (probes != in_.probes.end() && probes->second.failed) {
    const auto& probe = *probes->second.failed == ProbeType::kStartup ? container.startup_probe
                                                                      : container.liveness_probe;
    grace = probe ? probe->termination_grace_period : std::nullopt;
  }
  Begin(KillContainer{
      .id = status.id,
      .container = container.name,
      .message = "Container " + container.name + " " + std::string(why) +
                 (restarts ? ", will be restarted" : ""),
      .grace = std::max(kMinimumGrace, grace.value_or(in_.pod.spec.termination_grace_period))});
}

// Some app container was made in this sandbox, so its init containers were through: they may have
// been removed since.
bool Planner::Initialized(const cri::SandboxId& sandbox) const {
  const auto& containers = in_.pod.spec.containers;
  return std::any_of(containers.begin(), containers.end(), [&](const Container& container) {
    return NewestIn(container.name, sandbox) != nullptr ||
           in_.operations.Running(StartOperation(container.name));
  });
}

bool Planner::RunInitContainers() {
  const bool initialized = sandbox_ != nullptr && Initialized(sandbox_->sandbox.id);
  for (const Container& container : in_.pod.spec.init_containers) {
    const cri::PodContainer* instance =
        sandbox_ == nullptr ? nullptr : NewestIn(container.name, sandbox_->sandbox.id);
    if (IsSidecar(container)) {
      WantStarted(container);
      const bool running = instance != nullptr && IsLive(instance->status);
      const auto probes = running ? in_.probes.find(instance->status.id) : in_.probes.end();
      const bool started = running && (probes == in_.probes.end() || probes->second.state.started);
      if (!started && !initialized) {
        return false;
      }
      continue;
    }
    const bool done =
        instance != nullptr && IsEnded(instance->status) && instance->status.exit_code == 0;
    if (!done && !initialized) {
      WantStarted(container);
      return false;
    }
  }
  return true;
}

// Starts a container that does not run, as far as what it needs is there.
void Planner::WantStarted(const Container& container) {
  if (in_.operations.Running(StartOperation(container.name))) {
    return;
  }
  const cri::PodContainer* newest = Newest(container.name);
  StartContainer start{.container = container.name};
  if (newest == nullptr) {
    start.restart_count = NextRestartCountByApi(in_.pod, container.name);
  } else if (newest->status.state == cri::ContainerState::kCreated) {
    // Left by an agent that died before it could start it.
    Begin(RemoveContainer{.id = newest->status.id, .log_path = newest->status.log_path});
    return;
  } else if (IsLive(newest->status)) {
    return;
  } else {
    const bool same_sandbox = sandbox_ != nullptr && newest->sandbox == sandbox_->sandbox.id;
    const bool init =
        std::any_of(in_.pod.spec.init_containers.begin(), in_.pod.spec.init_containers.end(),
                    [&](const Container& c) { return &c == &container; });
    // Init containers run again in a new sandbox even if they succeeded in the old one.
    if (!MayRestart(container, newest->status) && !(init && !same_sandbox)) {
      return;
    }
    start.restart_count = RestartCount(newest->status) + 1;
    start.previous_finished = newest->status.finished_at;
    if (HeldBack(container, newest->status)) {
      return;
    }
  }
  if (ImageReady(container) && sandbox_ != nullptr && in_.volumes_ready) {
    start.sandbox = sandbox_->sandbox.id;
    Begin(std::move(start));
  }
}

bool Planner::HeldBack(const Container& container, const cri::ContainerStatus& ended) {
  const auto progress = in_.containers.find(container.name);
  if (progress == in_.containers.end()) {
    return false;
  }
  const CrashBackoff& crash = progress->second.crash;
  const auto until = crash.BlockedUntil(ended.finished_at, in_.wall_now);
  if (!until) {
    return false;
  }
  plan_.waiting[container.name] = {
      .reason = "CrashLoopBackOff",
      .message = CrashLoopMessage(crash.Current(ended.finished_at), container.name, in_.pod)};
  LookAgainAfter(*until - in_.wall_now);
  return true;
}

bool Planner::ImageReady(const Container& container) {
  const auto progress = in_.containers.find(container.name);
  if (progress != in_.containers.end() && progress->second.image) {
    return true;
  }
  Begin(EnsureImage{.container = container.name});
  return false;
}

}  // namespace farlet::pod
