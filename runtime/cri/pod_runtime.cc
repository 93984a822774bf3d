#include "runtime/cri/pod_runtime.h"

#include <algorithm>

namespace farlet::cri {

const SandboxStatus* PodRuntime::CurrentSandbox() const {
  const auto ready = std::find_if(sandboxes.begin(), sandboxes.end(), [](const SandboxStatus& s) {
    return s.sandbox.state == SandboxState::kReady;
  });
  if (ready != sandboxes.end()) {
    return &*ready;
  }
  return sandboxes.empty() ? nullptr : &sandboxes.front();
}

const PodContainer* PodRuntime::FindContainer(const std::string& name) const {
  const PodContainer* newest = nullptr;
  for (const PodContainer& container : containers) {
    if (container.status.metadata.name == name &&
        (newest == nullptr ||
         container.status.metadata.attempt > newest->status.metadata.attempt)) {
      newest = &container;
    }
  }
  return newest;
}

std::string PodRuntime::Label(const std::string& key) const {
  for (const SandboxStatus& status : sandboxes) {
    if (const auto found = status.sandbox.labels.find(key); found != status.sandbox.labels.end()) {
      return found->second;
    }
  }
  for (const PodContainer& container : containers) {
    if (const auto found = container.status.labels.find(key);
        found != container.status.labels.end()) {
      return found->second;
    }
  }
  return "";
}

}  // namespace farlet::cri
