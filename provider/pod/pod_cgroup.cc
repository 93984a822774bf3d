#include "provider/pod/pod_cgroup.h"

#include "provider/pod/cri_config.h"

#include <unistd.h>

#include <cerrno>
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

}  // namespace

bool RemovePodCgroup(const NodeContext& node, const kube::Pod& pod, const fs::path& cgroup_mount) {
  if (node.systemd_cgroups) {
    return true;
  }
  std::error_code error;
  // cgroup v2: one tree; v1: one tree for each controller.
  std::vector<fs::path> trees{cgroup_mount};
  if (!fs::exists(cgroup_mount / "cgroup.controllers", error)) {
    trees.clear();
    for (const auto& entry : fs::directory_iterator(cgroup_mount, error)) {
      trees.push_back(entry.path());
    }
  }
  bool gone = true;
  for (const fs::path& tree : trees) {
    for (const fs::path& parent : Parents(node, pod)) {
      if (fs::is_directory(tree / parent, error)) {
        gone = RemoveTree(tree / parent) && gone;
      }
    }
  }
  return gone;
}

}  // namespace farlet::pod
