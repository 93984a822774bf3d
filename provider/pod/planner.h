#pragma once

#include "provider/pod/plan.h"

#include <string>
#include <vector>

namespace farlet::pod {

// The work of PlanPod(), step by step: plan_run.cc for pods that run, plan_end.cc for those that
// end, plan.cc for what both need. Lives for one call.
class Planner {
 public:
  explicit Planner(const PlanInput& input) : in_(input) {}

  Plan Make() &&;

 private:
  using Container = kube::Container;

  // plan.cc
  void Begin(Action action);
  void LookAgain(SteadyTime when);

  void LookAgainAfter(std::chrono::nanoseconds delay) { LookAgain(in_.now + delay); }

  void CollectGarbage();
  void CollectOldSandboxes();
  bool Starting() const;
  // Ready, or its stop has not been answered yet.
  bool IsUp(const cri::Sandbox& sandbox) const;
  std::vector<const cri::PodContainer*> Instances(const std::string& name) const;
  const cri::PodContainer* Newest(const std::string& name) const;
  const cri::PodContainer* NewestIn(const std::string& name, const cri::SandboxId& sandbox) const;
  // Null when there is none that a container can be started in.
  const cri::SandboxStatus* UsableSandbox() const;

  bool IsSidecar(const Container& container) const { return container.restart_policy == "Always"; }

  bool MayRestart(const Container& container, const cri::ContainerStatus& status) const;

  // plan_run.cc
  void Run();
  bool Completed() const;
  bool InitFailed() const;
  bool SandboxIsLost() const;
  void ReplaceSandbox();
  void Restart(const Container& container, std::string_view why);
  void CheckRunning(const Container& container);
  bool Initialized(const cri::SandboxId& sandbox) const;
  // Starts the init container whose turn it is; true when all are through.
  bool RunInitContainers();
  void WantStarted(const Container& container);
  bool HeldBack(const Container& container, const cri::ContainerStatus& ended);
  bool ImageReady(const Container& container);

  // plan_end.cc
  void End();
  void EndContainers();
  bool EndGroup(const std::vector<Container>& containers, bool sidecars);
  bool EndForeignNames();
  void EndInstance(const cri::PodContainer& container, const std::string& name);
  void EndSandboxes();
  void Remove();
  seconds RemainingGrace() const;

  const PlanInput& in_;
  const cri::SandboxStatus* sandbox_ = nullptr;  // that containers may be started in
  Plan plan_;
};

bool IsLive(const cri::ContainerStatus& status);  // running, or nobody knows
bool IsEnded(const cri::ContainerStatus& status);
// Whether its start ended with its caller, an agent that died in StartContainer: for containerd it
// has failed to start, for us it has never been started.
bool IsCutOff(const cri::ContainerStatus& status);
// The container's name in the pod spec.
const std::string& ContainerName(const cri::ContainerStatus& status);

}  // namespace farlet::pod
