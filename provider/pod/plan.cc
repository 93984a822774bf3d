#include "provider/pod/plan.h"

#include "provider/pod/cri_config.h"
#include "provider/pod/planner.h"
#include "runtime/base/time_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace farlet::pod {
namespace {

template <class... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};

template <class... Handlers>
Overloaded(Handlers...) -> Overloaded<Handlers...>;

}  // namespace

std::string ImageOperation(const std::string& container) {
  return "image/" + container;
}

std::string StartOperation(const std::string& container) {
  return "start/" + container;
}

std::string OperationName(const Action& action) {
  return std::visit(
      Overloaded{
          [](const PrepareVolumes&) { return std::string(kVolumesOperation); },
          [](const EnsureImage& a) { return ImageOperation(a.container); },
          [](const CreateSandbox&) { return std::string(kCreateSandboxOperation); },
          [](const StopSandbox& a) { return "stop-sandbox/" + a.id.value; },
          [](const RemoveSandbox& a) { return "remove-sandbox/" + a.id.value; },
          [](const StartContainer& a) { return StartOperation(a.container); },
          [](const KillContainer& a) { return (a.sooner ? "kill-sooner/" : "kill/") + a.id.value; },
          [](const RemoveContainer& a) { return "remove/" + a.id.value; }},
      action);
}

bool IsLive(const cri::ContainerStatus& status) {
  return status.state == cri::ContainerState::kRunning ||
         status.state == cri::ContainerState::kUnknown;
}

bool IsEnded(const cri::ContainerStatus& status) {
  return status.state == cri::ContainerState::kExited;
}

// By the words of containerd 1.6. A cancelled call kills a shim that is only being started.
bool IsCutOff(const cri::ContainerStatus& status) {
  const auto says = [&](const char* words) {
    return status.message.find(words) != std::string::npos;
  };
  return IsEnded(status) && status.reason == "StartError" &&
         (says("context canceled") || (says("failed to start shim") && says("signal: killed")));
}

const std::string& ContainerName(const cri::ContainerStatus& status) {
  const auto label = status.labels.find(cri::labels::kContainerName);
  return label == status.labels.end() ? status.metadata.name : label->second;
}

uint32_t RestartCount(const cri::ContainerStatus& status) {
  const auto annotation = status.annotations.find(kRestartCountAnnotation);
  uint32_t count = status.metadata.attempt;
  if (annotation != status.annotations.end()) {
    const std::string& text = annotation->second;
    uint32_t parsed = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), parsed);
    if (error == std::errc() && end == text.data() + text.size()) {
      count = parsed;
    }
  }
  return count;
}

std::string CrashLoopMessage(seconds delay, const std::string& container, const kube::Pod& pod) {
  return fmt::format("back-off {} restarting failed container={} pod={}", FormatGoDuration(delay),
                     container, pod.Format());
}

const kube::Container* FindContainer(const kube::Pod& pod, const std::string& name) {
  for (const auto* group : {&pod.spec.containers, &pod.spec.init_containers}) {
    for (const kube::Container& container : *group) {
      if (container.name == name) {
        return &container;
      }
    }
  }
  return nullptr;
}

Plan PlanPod(const PlanInput& input) {
  return Planner(input).Make();
}

Plan Planner::Make() && {
  sandbox_ = UsableSandbox();
  plan_.completed = Completed();
  if (in_.wish == Wish::kRun && !plan_.completed) {
    Run();
  } else {
    End();
  }
  if (in_.wish == Wish::kRemove) {
    Remove();
  } else {
    CollectGarbage();
  }
  return std::move(plan_);
}

// Plans an action unless it is in flight or waits for its next try.
void Planner::Begin(Action action) {
  const std::string name = OperationName(action);
  if (in_.operations.MayBegin(name, in_.now)) {
    plan_.actions.push_back(std::move(action));
  } else if (const auto retry = in_.operations.RetryAt(name)) {
    LookAgain(*retry);
  }
}

void Planner::LookAgain(SteadyTime when) {
  if (!plan_.look_again || when < *plan_.look_again) {
    plan_.look_again = when;
  }
}

std::vector<const cri::PodContainer*> Planner::Instances(const std::string& name) const {
  std::vector<const cri::PodContainer*> instances;
  for (const cri::PodContainer& container : in_.runtime.containers) {
    if (ContainerName(container.status) == name) {
      instances.push_back(&container);
    }
  }
  return instances;
}

const cri::PodContainer* Planner::Newest(const std::string& name) const {
  const auto instances = Instances(name);
  return instances.empty() ? nullptr : instances.front();
}

const cri::PodContainer* Planner::NewestIn(const std::string& name,
                                           const cri::SandboxId& sandbox) const {
  const cri::PodContainer* newest = Newest(name);
  return newest != nullptr && newest->sandbox == sandbox ? newest : nullptr;
}

const cri::SandboxStatus* Planner::UsableSandbox() const {
  if (in_.runtime.sandboxes.empty()) {
    return nullptr;
  }
  const cri::SandboxStatus& newest = in_.runtime.sandboxes.front();
  const bool has_network = in_.pod.spec.host_network || !newest.ips.empty();
  return newest.sandbox.state == cri::SandboxState::kReady && has_network ? &newest : nullptr;
}

bool Planner::MayRestart(const Container& container, const cri::ContainerStatus& status) const {
  if (IsSidecar(container) || in_.pod.spec.restart_policy == "Always") {
    return true;
  }
  return in_.pod.spec.restart_policy == "OnFailure" && status.exit_code != 0;
}

bool Planner::Starting() const {
  const auto starts = [this](const std::vector<Container>& containers) {
    return std::any_of(containers.begin(), containers.end(), [this](const Container& container) {
      return in_.operations.Running(StartOperation(container.name));
    });
  };
  return in_.operations.Running(kCreateSandboxOperation) || starts(in_.pod.spec.containers) ||
         starts(in_.pod.spec.init_containers);
}

// Keeps of every name the newest instance, and its predecessor while the newest has not ended.
void Planner::CollectGarbage() {
  std::map<std::string, int> kept;
  for (const cri::PodContainer& container : in_.runtime.containers) {
    const std::string& name = ContainerName(container.status);
    int& count = kept[name];
    const bool ended = IsEnded(container.status);
    if (count == 0 || (count == 1 && !IsEnded(Newest(name)->status))) {
      ++count;
    } else if (ended) {
      Begin(RemoveContainer{.id = container.status.id, .log_path = container.status.log_path});
    }
  }
  CollectOldSandboxes();
}

// The runtime tells of a sandbox's end before its network is taken down.
bool Planner::IsUp(const cri::Sandbox& sandbox) const {
  return sandbox.state == cri::SandboxState::kReady ||
         in_.operations.Running(OperationName(StopSandbox{.id = sandbox.id}));
}

// Sandboxes that were replaced and hold no container that is kept.
void Planner::CollectOldSandboxes() {
  for (size_t i = 1; i < in_.runtime.sandboxes.size(); ++i) {
    const cri::Sandbox& old = in_.runtime.sandboxes[i].sandbox;
    const bool used = std::any_of(in_.runtime.containers.begin(), in_.runtime.containers.end(),
                                  [&](const auto& c) { return c.sandbox == old.id; });
    if (IsUp(old)) {
      Begin(StopSandbox{.id = old.id});
    } else if (!used) {
      Begin(RemoveSandbox{.id = old.id, .stop_first = !in_.stopped_sandboxes.contains(old.id)});
    }
  }
}

}  // namespace farlet::pod
