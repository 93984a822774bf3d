#pragma once

#include "kube/api/pod.h"
#include "provider/pod/node_context.h"

#include <filesystem>

namespace farlet::pod {

// Removes the cgroup that held the pod's containers, which the runtime made as their parent and
// leaves behind. With systemd cgroups the slice goes by itself. Only empty cgroups can be removed,
// so a mistake costs nothing. Of the pod the UID is enough. True when none is left: false for a
// moment after the last process has ended.
bool RemovePodCgroup(const NodeContext& node,
                     const kube::Pod& pod,
                     const std::filesystem::path& cgroup_mount = "/sys/fs/cgroup");

// Kills what the runtime has forgotten in it, as a kubelet does: a process that containerd was
// making when it died. Only for a pod of which neither the API server nor the runtime has anything.
// How many were told; they end a moment later.
int KillPodCgroup(const NodeContext& node,
                  const kube::Pod& pod,
                  const std::filesystem::path& cgroup_mount = "/sys/fs/cgroup");

}  // namespace farlet::pod
