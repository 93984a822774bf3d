#include "provider/pod/pod_cgroup.h"

#include "provider/pod/cri_config.h"
#include "runtime/base/fd.h"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <set>
#include <system_error>
#include <vector>

namespace farlet::pod {
namespace {

namespace fs = std::filesystem;

// The children first; what is in use stays. True when all of it has gone.
bool RemoveTree(const fs::path& folder) {
  std::vector<fs::path> children;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.is_directory(error) && !entry.is_symlink(error)) {
      children.push_back(entry.path());
    }
  }
  for (const fs::path& child : children) {
    RemoveTree(child);
  }
  return ::rmdir(folder.c_str()) == 0 || errno == ENOENT;
}

// Where the pod may be: its class is not known when only the runtime remembered it.
std::vector<fs::path> Parents(const NodeContext& node, const kube::Pod& pod) {
  const fs::path parent = fs::path(PodCgroupParent(pod, node)).relative_path();
  if (!pod.spec.containers.empty()) {
    return {parent};
  }
  fs::path base = parent.parent_path();
  if (base.filename() == "besteffort" || base.filename() == "burstable") {
    base = base.parent_path();
  }
  return {base / parent.filename(), base / "burstable" / parent.filename(),
          base / "besteffort" / parent.filename()};
}

// cgroup v2: one tree; v1: one tree for each controller.
std::vector<fs::path> Trees(const fs::path& mount) {
  std::error_code error;
  if (fs::exists(mount / "cgroup.controllers", error)) {
    return {mount};
  }
  std::vector<fs::path> trees;
  for (const auto& entry : fs::directory_iterator(mount, error)) {
    trees.push_back(entry.path());
  }
  return trees;
}

// The pod's cgroups that are there.
std::vector<fs::path> PodCgroups(const NodeContext& node,
                                 const kube::Pod& pod,
                                 const fs::path& mount) {
  std::vector<fs::path> found;
  if (node.systemd_cgroups) {
    return found;
  }
  std::error_code error;
  for (const fs::path& tree : Trees(mount)) {
    for (const fs::path& parent : Parents(node, pod)) {
      if (fs::is_directory(tree / parent, error)) {
        found.push_back(tree / parent);
      }
    }
  }
  return found;
}

std::vector<pid_t> ProcessesOf(const fs::path& cgroup) {
  std::ifstream file(cgroup / "cgroup.procs");
  std::vector<pid_t> pids;
  for (pid_t pid = 0; file >> pid;) {
    pids.push_back(pid);
  }
  return pids;
}

// Only what is still in the cgroup once it is held by its descriptor: a pid may be used again.
bool Kill(pid_t pid, const fs::path& cgroup) {
  const UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  const std::vector<pid_t> inside = ProcessesOf(cgroup);
  return pid > 1 && process.valid() &&
         std::find(inside.begin(), inside.end(), pid) != inside.end() &&
         ::syscall(SYS_pidfd_send_signal, process.get(), SIGKILL, nullptr, 0) == 0;
}

// A process is in one cgroup of each hierarchy, and told once.
void KillTree(const fs::path& cgroup, std::set<pid_t>& killed) {
  for (const pid_t pid : ProcessesOf(cgroup)) {
    if (!killed.contains(pid) && Kill(pid, cgroup)) {
      killed.insert(pid);
    }
  }
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(cgroup, error)) {
    if (entry.is_directory(error) && !entry.is_symlink(error)) {
      KillTree(entry.path(), killed);
    }
  }
}

}  // namespace

bool RemovePodCgroup(const NodeContext& node, const kube::Pod& pod, const fs::path& cgroup_mount) {
  bool gone = true;
  for (const fs::path& cgroup : PodCgroups(node, pod, cgroup_mount)) {
    gone = RemoveTree(cgroup) && gone;
  }
  return gone;
}

int KillPodCgroup(const NodeContext& node, const kube::Pod& pod, const fs::path& cgroup_mount) {
  std::set<pid_t> killed;
  for (const fs::path& cgroup : PodCgroups(node, pod, cgroup_mount)) {
    KillTree(cgroup, killed);
  }
  return static_cast<int>(killed.size());
}

}  // namespace farlet::pod
