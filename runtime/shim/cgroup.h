#pragma once

#include "runtime/base/result.h"

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace farlet::shim {

// The control groups of a pod's host processes: shim, QEMU and file server stand in the sandbox's
// cgroup, so that the pod's limits and statistics cover them.

// Whether the host has nothing but cgroup v2 at `root`.
bool IsUnifiedCgroup(const std::filesystem::path& root = "/sys/fs/cgroup");

// The spec's cgroupsPath as a path below a hierarchy: "/kubepods/pod1/ID" as it is, and systemd's
// "kubepods-pod1.slice:cri-containerd:ID" as "/kubepods.slice/kubepods-pod1.slice/
// cri-containerd-ID.scope". kInvalidArgument when it leads out ("..").
Result<std::filesystem::path> CgroupPath(std::string_view cgroups_path);

// The folders of `path` in every hierarchy below `root`: one for v2; for v1 one a controller, less
// cpuset (whose new groups take nobody in before they are given cpus).
std::vector<std::filesystem::path> CgroupFolders(
    const std::filesystem::path& path, const std::filesystem::path& root = "/sys/fs/cgroup");

// Makes the folders, with v2's controllers down to them, and moves `pid` there. What one hierarchy
// refuses is logged and left out: a pod that is not accounted is better than none. Gives back the
// folders that took it in.
std::vector<std::filesystem::path> EnterCgroup(const std::vector<std::filesystem::path>& folders,
                                               pid_t pid);

// What a pod's host processes may have in all. The guest's own limits are inside; these hold a
// guest that has taken over its QEMU.
struct HostLimits {
  uint64_t memory_bytes = 0;
  uint64_t milli_cpus = 0;
  uint64_t tasks = 0;
};

// Sets them in the hierarchies of v1 or in v2's. What one refuses is logged and left out.
void LimitCgroups(const std::vector<std::filesystem::path>& folders, const HostLimits& limits);

// Removes the folders, waiting a moment for processes that are about to end. The pod's own cgroup
// above is its maker's.
void RemoveCgroups(const std::vector<std::filesystem::path>& folders);

// Out of the pod's cgroup again, into the root's, so that it can be removed by one of its
// processes. False when a hierarchy refused.
bool LeaveCgroups(const std::vector<std::filesystem::path>& folders,
                  const std::filesystem::path& root = "/sys/fs/cgroup");

}  // namespace farlet::shim
