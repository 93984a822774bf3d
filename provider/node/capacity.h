#pragma once

#include "provider/node/facts.h"
#include "runtime/base/result.h"

#include <filesystem>
#include <string>

namespace farlet::node {

// Where the host's facts are read; a test has folders of its own.
struct HostPaths {
  std::filesystem::path proc = "/proc";
  std::filesystem::path sys = "/sys";
  std::filesystem::path etc = "/etc";
  // Existing: its file system is the node's ephemeral storage.
  std::filesystem::path root_dir = "/var/lib/farlet";
};

// Blocks for a few small files; for start-up. Memory and storage have to be readable (the error
// names the file), an identity that is missing is left empty.
Result<HostFacts> ReadHostFacts(const HostPaths& paths);

// Below the kubelet's default eviction thresholds: memory.available < 100Mi, nodefs.available <
// 10 %, nodefs.inodesFree < 5 %, pid.available < 10 %. What cannot be read is no pressure.
Pressure ReadPressure(const HostPaths& paths);

// Capacity from the host unless it is configured. Allocatable is what remains above the eviction
// thresholds and huge pages; a configured resource is allocatable as it stands, and what counts CPU
// and memory in other units follows them.
Capacity ComputeCapacity(const NodeSettings& settings, const HostFacts& host);

// "500m", "2", "24683656Ki": whole Ki for what is counted in bytes.
std::string FormatResource(const std::string& name, const kube::Quantity& amount);

}  // namespace farlet::node
