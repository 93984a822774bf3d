#pragma once

#include "kube/api/pod.h"
#include "runtime/base/clock.h"
#include "runtime/cri/types.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

// What a Node object is made of, as plain values: whoever reads the host, the configuration or the
// runtime fills them in, and the functions that build the object are pure.
namespace farlet::node {

using kube::ResourceList;
using kube::StringMap;

struct Taint {
  std::string key;
  std::string value;
  std::string effect;  // NoSchedule, PreferNoSchedule, NoExecute
};

// What the configuration says; does not change while the agent runs.
struct NodeSettings {
  std::string name;
  StringMap labels;             // beside the default ones
  std::vector<Taint> taints;    // set at creation only: NodeRestriction allows no more
  std::string provider_id;      // empty: none
  std::string kubelet_version;  // "v1.37.2"
  int64_t port = 10250;         // daemonEndpoints.kubeletEndpoint
  int64_t max_pods = 110;
  // Resources given instead of found; allocatable is then the same.
  ResourceList capacity;
  // Extended resources that stand for allocatable CPU in thousandths and memory in MiB, by which
  // pods can be counted as larger than their requests; empty: none.
  std::string milli_cpu_resource;
  std::string mebibyte_resource;
};

// What the host says; read once at start (capacity.h).
struct HostFacts {
  int64_t cpus = 0;
  int64_t memory_bytes = 0;
  int64_t storage_bytes = 0;                 // of the file system of the root directory
  std::map<std::string, int64_t> hugepages;  // "2Mi" → bytes set aside
  std::string machine_id;
  std::string system_uuid;
  std::string boot_id;
  std::string kernel_version;
  std::string os_image;
  std::string architecture;  // GOARCH: "amd64"
};

// What the host is short of at this moment.
struct Pressure {
  bool memory = false;
  bool disk = false;
  bool pid = false;
};

// What the container runtime says at this moment.
struct RuntimeFacts {
  // The last poll was answered.
  bool reachable = false;
  // When the last answer came; absent before the first.
  std::optional<SteadyTime> last_good;
  std::vector<cri::RuntimeCondition> conditions;
  std::string name;     // "containerd"
  std::string version;  // "1.6.20"
  std::vector<cri::RuntimeHandler> handlers;
  std::vector<cri::Image> images;
};

struct Capacity {
  ResourceList capacity;
  ResourceList allocatable;
};

}  // namespace farlet::node
