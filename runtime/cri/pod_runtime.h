#pragma once

#include "runtime/base/clock.h"
#include "runtime/cri/types.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace farlet::cri {

// A container with the full status that CRI gave for it.
struct ContainerView {
  SandboxId sandbox_id;
  cri::ContainerStatus status;
};

// What the runtime has of one pod: an immutable snapshot that RuntimeCache hands out.
struct PodRuntime {
  std::string pod_uid;
  std::string pod_name;
  std::string pod_namespace;
  // Newest first (by attempt, then creation).
  std::vector<cri::SandboxStatus> sandboxes;
  // Newest first.
  std::vector<ContainerView> containers;
  // Grows with every change.
  uint64_t generation = 0;
  // When the read that this snapshot comes from was begun.
  SteadyTime observed_at;
};

}  // namespace farlet::cri
