#include "provider/pod/node_context.h"

#include <fmt/format.h>

#include <linux/magic.h>
#include <sys/vfs.h>

namespace farlet::pod {

bool HasUnifiedCgroups() {
  struct statfs info {};

  return ::statfs("/sys/fs/cgroup", &info) == 0 && info.f_type == CGROUP2_SUPER_MAGIC;
}

std::filesystem::path PodDirectory(const NodeContext& node, const std::string& uid) {
  return node.root_dir / "pods" / uid;
}

std::filesystem::path PodLogDirectory(const NodeContext& node, const kube::Pod& pod) {
  return node.pod_logs_dir /
         fmt::format("{}_{}_{}", pod.meta.object_namespace, pod.meta.name, pod.meta.uid);
}

}  // namespace farlet::pod
