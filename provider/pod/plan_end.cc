#include "provider/pod/planner.h"

#include <algorithm>
#include <set>

namespace farlet::pod {

//   containers stop (app containers at once, then sidecars, the last one first)
//     └─► quiet ─► sandboxes stop ─► finished ─► [kRemove: sandboxes are removed ─► empty]
void Planner::End() {
  EndContainers();
  const bool live = std::any_of(in_.runtime.containers.begin(), in_.runtime.containers.end(),
                                [](const auto& c) { return !IsEnded(c.status); });
  plan_.quiet = !live && !Starting();
  if (plan_.quiet) {
    EndSandboxes();
  }
}

void Planner::EndContainers() {
  const bool apps_ended = EndGroup(in_.pod.spec.containers, false);
  const bool others_ended = EndForeignNames();
  // Init containers that are not sidecars do not wait for anybody.
  EndGroup(in_.pod.spec.init_containers, false);
  if (apps_ended && others_ended) {
    EndGroup(in_.pod.spec.init_containers, true);
  }
}

// Stops the containers of one group: sidecars one after the other in reverse order, all others at
// once. True when none of it is left.
bool Planner::EndGroup(const std::vector<Container>& containers, bool sidecars) {
  bool ended = true;
  for (auto container = containers.rbegin(); container != containers.rend(); ++container) {
    if (IsSidecar(*container) != sidecars) {
      continue;
    }
    for (const cri::PodContainer* instance : Instances(container->name)) {
      if (!IsEnded(instance->status)) {
        EndInstance(*instance, container->name);
        ended = false;
      }
    }
    if (sidecars && !ended) {
      return false;
    }
  }
  return ended;
}

// Containers that the spec does not name: of a pod whose spec is not known any more.
bool Planner::EndForeignNames() {
  std::set<std::string> known;
  for (const auto* group : {&in_.pod.spec.containers, &in_.pod.spec.init_containers}) {
    for (const Container& container : *group) {
      known.insert(container.name);
    }
  }
  bool ended = true;
  for (const cri::PodContainer& container : in_.runtime.containers) {
    const std::string& name = ContainerName(container.status);
    if (!known.contains(name) && !IsEnded(container.status)) {
      EndInstance(container, name);
      ended = false;
    }
  }
  return ended;
}

void Planner::EndInstance(const cri::PodContainer& container, const std::string& name) {
  if (container.status.state == cri::ContainerState::kCreated) {
    // Made, but never started: by an agent that died, or its start is under way right now.
    if (!in_.operations.Running(StartOperation(name))) {
      Begin(RemoveContainer{.id = container.status.id, .log_path = container.status.log_path});
    }
    return;
  }
  KillContainer kill{.id = container.status.id,
                     .container = name,
                     .message = "Stopping container " + name,
                     .grace = RemainingGrace()};
  const auto stopping = in_.stopping.find(kill.id);
  if (stopping == in_.stopping.end()) {
    Begin(std::move(kill));
    return;
  }
  // Somebody shortened the grace period since.
  if (in_.now + kill.grace + seconds(1) < stopping->second) {
    kill.sooner = true;
    Begin(std::move(kill));
  }
}

seconds Planner::RemainingGrace() const {
  const auto passed = std::chrono::duration_cast<seconds>(in_.now - in_.ending_since);
  return std::max(kMinimumGrace, in_.wish == Wish::kRun ? in_.grace : in_.grace - passed);
}

void Planner::EndSandboxes() {
  bool up = false;
  for (const cri::SandboxStatus& status : in_.runtime.sandboxes) {
    if (IsUp(status.sandbox)) {
      Begin(StopSandbox{.id = status.sandbox.id});
      up = true;
    }
  }
  plan_.finished = !up;
}

void Planner::Remove() {
  plan_.empty = in_.runtime.sandboxes.empty() && in_.runtime.containers.empty() && !Starting();
  if (!plan_.finished) {
    return;
  }
  for (const cri::SandboxStatus& status : in_.runtime.sandboxes) {
    const cri::SandboxId& id = status.sandbox.id;
    Begin(RemoveSandbox{.id = id, .stop_first = !in_.stopped_sandboxes.contains(id)});
  }
}

}  // namespace farlet::pod
