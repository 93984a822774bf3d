#pragma once

#include "kube/api/pod.h"
#include "provider/pod/node_context.h"

#include <filesystem>
#include <string>

// Where the files of a pod are (kubelet-contract B5); tools rely on these paths.
namespace farlet::pod {

// "<pod>/volumes/kubernetes.io~empty-dir/<name>" and the like.
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
