#pragma once

#include "runtime/base/clock.h"
#include "runtime/cri/types.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace farlet::cri {

// A container with the full status that CRI gave for it.
struct PodContainer {
  SandboxId sandbox;
  ContainerStatus status;
  bool operator==(const PodContainer&) const = default;
};

using ContainerView = PodContainer;

// What the runtime holds of one pod at one moment. Immutable.
struct PodRuntime {
  std::string uid;
  // Grows with every change of this pod, and is larger than that of any older snapshot of any pod.
  uint64_t generation = 0;
  // When the newest read of the whole pod began; the clock's epoch while it is known only by notes.
  // A relist that finds nothing changed does not touch it.
  SteadyTime observed_at;
  std::vector<SandboxStatus> sandboxes;  // newest first
  std::vector<PodContainer> containers;  // newest first

  // Of the newest ready sandbox, else the newest of all, else null.
  const SandboxStatus* CurrentSandbox() const;
  // Of the newest instance of a container by its name in the pod spec (highest attempt), or null.
  const PodContainer* FindContainer(const std::string& name) const;
  // The label `key` of any sandbox or container of the pod, or "".
  std::string Label(const std::string& key) const;
};

using PodRuntimePtr = std::shared_ptr<const PodRuntime>;

}  // namespace farlet::cri
