#include "tests/bench/floor/floor_pod.h"

#include "provider/pod/cri_config.h"
#include "provider/pod/env.h"
#include "provider/pod/service_env.h"
#include "runtime/base/file.h"

#include <fmt/format.h>

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <system_error>
#include <utility>
#include <vector>

namespace farlet::bench {
namespace {

constexpr char kAccountPath[] = "/var/run/secrets/kubernetes.io/serviceaccount";

std::filesystem::path AccountFolder(const std::filesystem::path& folder) {
  return folder / "account";
}

kube::Pod PodOf(const FloorOptions& options, int number) {
  kube::Pod pod;
  pod.meta.name = fmt::format("floor-{}", number);
  pod.meta.object_namespace = "farlet-bench";
  pod.meta.uid = fmt::format("floor-{}-{}", ::getpid(), number);
  pod.meta.labels = {{"app", "burst"}};
  pod.spec.host_network = options.host_network;
  pod.spec.containers = {{.name = "pause", .image = options.image, .command = options.command}};
  return pod;
}

pod::NodeContext Node(const FloorOptions& options) {
  pod::NodeContext node;
  node.node_name = "floor";
  node.pod_logs_dir = options.log_folder;
  node.cluster_dns = {"10.96.0.10"};
  return node;
}

std::vector<cri::Mount> Mounts(const FloorOptions& options,
                               const std::filesystem::path& folder,
                               int number) {
  std::vector<cri::Mount> mounts;
  if (options.service_account) {
    mounts.push_back({.container_path = kAccountPath,
                      .host_path = AccountFolder(folder).string(),
                      .readonly = true});
  }
  mounts.push_back({.container_path = "/etc/hosts",
                    .host_path = (folder / fmt::format("hosts-{}", number)).string()});
  mounts.push_back({.container_path = "/dev/termination-log",
                    .host_path = (folder / fmt::format("termination-{}", number)).string()});
  return mounts;
}

// Those of the API server's service.
Result<std::vector<cri::EnvVar>> Variables(const kube::Pod& pod, const pod::NodeContext& node) {
  kube::Service service;
  service.meta.name = "kubernetes";
  service.meta.object_namespace = "default";
  service.cluster_ip = "10.96.0.1";
  service.ports = {{.name = "https", .port = 443}};
  const pod::ObjectLookup none = [](const kube::ObjectKey&) -> kube::ObjectCache::Lookup {
    return NotFound("no objects");
  };
  const pod::EnvContext context{
      .pod = pod,
      .objects = none,
      .node_name = node.node_name,
      .service_env = pod::ServiceEnv({std::make_shared<const kube::Service>(std::move(service))},
                                     pod.meta.object_namespace, true)};
  return pod::MakeEnv(pod.spec.containers.front(), context);
}

// Where a cgroup may lie: in the unified hierarchy, or in each of cgroup v1's.
std::vector<std::filesystem::path> CgroupFolders(const std::string& cgroup) {
  const std::filesystem::path root = "/sys/fs/cgroup";
  std::vector<std::filesystem::path> folders{root / cgroup.substr(1)};
  std::error_code error;
  for (const auto& hierarchy : std::filesystem::directory_iterator(root, error)) {
    if (hierarchy.is_directory(error)) {
      folders.push_back(hierarchy.path() / cgroup.substr(1));
    }
  }
  return folders;
}

}  // namespace

Result<FloorPod> MakeFloorPod(const FloorOptions& options,
                              const std::filesystem::path& folder,
                              int number) {
  const kube::Pod pod = PodOf(options, number);
  const pod::NodeContext node = Node(options);
  FloorPod made;
  std::vector<pod::PodWarning> warnings;
  FARLET_ASSIGN(made.sandbox_config, pod::MakeSandboxConfig(pod, 0, node, warnings));
  made.sandbox_config.cgroup_parent = options.cgroup_parent + "/pod" + pod.meta.uid;
  pod::ContainerInputs inputs{.container = pod.spec.containers.front(),
                              .image_ref = options.image,
                              .mounts = Mounts(options, folder, number)};
  if (options.service_account) {
    FARLET_ASSIGN(inputs.env, Variables(pod, node));
  }
  FARLET_ASSIGN(made.config, pod::MakeContainerConfig(pod, inputs, node));
  return made;
}

Status PrepareAccount(const FloorOptions& options, const std::filesystem::path& folder) {
  if (!options.service_account) {
    return {};
  }
  const std::filesystem::path account = AccountFolder(folder);
  FARLET_TRY(MakeDirectories(account, 0755));
  for (const char* name : {"ca.crt", "namespace", "token"}) {
    FARLET_TRY(WriteFileAtomic(account / name, name, 0644));
  }
  return {};
}

Status PrepareFiles(const FloorPod& pod) {
  FARLET_TRY(MakeDirectories(
      std::filesystem::path(pod.sandbox_config.log_directory) / pod.config.metadata.name, 0755));
  for (const cri::Mount& mount : pod.config.mounts) {
    if (mount.container_path == kAccountPath) {
      continue;
    }
    // Not flushed to the disk, like the kubelet's.
    std::ofstream file(mount.host_path, std::ios::app);
    if (!file) {
      return Internal("cannot write " + mount.host_path);
    }
  }
  return {};
}

Status RemoveFiles(const FloorPod& pod) {
  std::error_code error;
  std::filesystem::remove_all(pod.sandbox_config.log_directory, error);
  RemoveCgroup(pod.sandbox_config.cgroup_parent);
  return {};
}

bool CgroupExists(const std::string& cgroup) {
  const auto folders = CgroupFolders(cgroup);
  return std::any_of(folders.begin(), folders.end(), [](const auto& folder) {
    std::error_code error;
    return std::filesystem::exists(folder, error);
  });
}

void RemoveCgroup(const std::string& cgroup) {
  for (const auto& folder : CgroupFolders(cgroup)) {
    ::rmdir(folder.c_str());
  }
}

}  // namespace farlet::bench
