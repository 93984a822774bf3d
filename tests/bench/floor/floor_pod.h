#pragma once

#include "runtime/base/result.h"
#include "runtime/cri/types.h"
#include "tests/bench/floor/floor.h"

#include <filesystem>

namespace farlet::bench {

// A pod of the benchmark, as the node agent would have the runtime make it.
struct FloorPod {
  cri::SandboxConfig sandbox_config;
  cri::ContainerConfig config;
  // Set by the steps that make them.
  cri::SandboxId sandbox;
  cri::ContainerId container;
};

// The configurations of a BestEffort pod with one container, from the agent's own functions, so
// that nothing of what an agent asks for is missing here. What is mounted lies in `folder`.
Result<FloorPod> MakeFloorPod(const FloorOptions& options,
                              const std::filesystem::path& folder,
                              int number);

// The account's volume, which all pods share; and what each pod has of its own, as sparingly as the
// runtime allows.
Status PrepareAccount(const FloorOptions& options, const std::filesystem::path& folder);
Status PrepareFiles(const FloorPod& pod);

// The runtime leaves the pod's own cgroups and log folder to the agent.
Status RemoveFiles(const FloorPod& pod);

bool CgroupExists(const std::string& cgroup);
// Only when it is empty.
void RemoveCgroup(const std::string& cgroup);

}  // namespace farlet::bench
