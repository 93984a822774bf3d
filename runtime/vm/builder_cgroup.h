#pragma once

#include <filesystem>
#include <vector>

namespace farlet::vm {

// The cgroup.procs files of the host's root cgroups below `mount` (/sys/fs/cgroup): where a
// template is built, since its memory belongs to all pods that are cloned from it and not to the
// one that came first. Empty if there are none.
std::vector<std::filesystem::path> RootCgroupProcs(const std::filesystem::path& mount);

}  // namespace farlet::vm
