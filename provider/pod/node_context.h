#pragma once

#include "kube/api/pod.h"
#include "kube/api/quantity.h"

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace farlet::pod {

// Whether this host has only the unified cgroup hierarchy (cgroup v2).
bool HasUnifiedCgroups();

// The virtual machine that a pod is to have, where the runtime makes one; 0: what its limits say.
struct MachineSize {
  int64_t milli_cpus = 0;
  int64_t memory_bytes = 0;
  int64_t storage_bytes = 0;  // of its writable layers and disk emptyDirs
};

// What a node is and has, as far as pods can notice. Set once at start, except for what the
// controller is told later (host_ip, allocatable).
struct NodeContext {
  std::string node_name;
  std::string host_ip;
  std::filesystem::path root_dir;      // pods/<uid>/… below it
  std::filesystem::path pod_logs_dir;  // NS_NAME_UID/CONTAINER/N.log below it
  std::string runtime_handler;         // "" is the runtime's default
  std::string cgroup_root;             // "" or "/farlet-x"
  bool systemd_cgroups = false;
  bool unified_cgroups = HasUnifiedCgroups();
  std::vector<std::string> cluster_dns;
  std::string cluster_domain = "cluster.local";
  std::filesystem::path resolv_conf = "/etc/resolv.conf";
  kube::ResourceList capacity;
  kube::ResourceList allocatable;
  int64_t max_pods = 110;
  // Called on any thread. Empty: every pod's machine is as its limits say.
  std::function<MachineSize(const kube::Pod&)> machine_size;
};

// <root>/pods/<uid> and the log folder of a pod.
std::filesystem::path PodDirectory(const NodeContext& node, const std::string& uid);
std::filesystem::path PodLogDirectory(const NodeContext& node, const kube::Pod& pod);

}  // namespace farlet::pod
