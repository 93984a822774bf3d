#pragma once

#include "kube/api/pod.h"
#include "provider/pod/node_context.h"

#include <filesystem>
#include <string>

// Where the files of a pod are (kubelet-contract B5); tools rely on these paths.
namespace farlet::pod {

// What the API tells and must not lie on a disk is in one tmpfs for all pods: each mount makes
// every start of a container dearer, since its runtime reads the list of all mounts, some of them
// more than once. Only the agent writes there.
std::filesystem::path SecretsRoot(const NodeContext& node);
std::filesystem::path SecretsDirectory(const NodeContext& node, const std::string& uid);

// Secrets and what may hold one: secret, projected and downward API volumes.
bool IsSecret(const kube::Volume& volume);

// "<pod>/volumes/kubernetes.io~empty-dir/<name>" and the like; secrets are in SecretsDirectory()
// instead of "<pod>/volumes".
std::filesystem::path VolumeDirectory(const NodeContext& node,
                                      const std::string& uid,
                                      const kube::Volume& volume);

// "<pod>/volume-subpaths/<volume>/<container>/<index>".
std::filesystem::path SubPathTarget(const NodeContext& node,
                                    const std::string& uid,
                                    const kube::VolumeMount& mount,
                                    const std::string& container,
                                    size_t index);

// "<pod>/containers/<container>/<8 hex digits>", one per instance.
std::filesystem::path TerminationLog(const NodeContext& node,
                                     const std::string& uid,
                                     const std::string& container,
                                     uint32_t restart_count);

}  // namespace farlet::pod
