#pragma once

#include "kube/api/pod.h"
#include "provider/pod/env.h"
#include "provider/pod/node_context.h"
#include "runtime/cri/types.h"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace farlet::pod {

// A bound service account token as it is to be written; never logged.
struct TokenValue {
  std::string token;
};

// The tokens that a pod's volumes need, by (audience, expiration, path): read from
// ServiceAccountTokens (service_account_token.h). kUnavailable while one is being requested.
using TokenLookup =
    std::function<Result<TokenValue>(const kube::ServiceAccountTokenProjection& projection)>;

// Makes and updates the files of all volumes of a pod in their VolumeDirectory(): emptyDir folders
// (0777; Memory: tmpfs), configMap, secret, downward API and projected volumes by atomic writes
// (kubelet-contract B5; secrets, projected and downward API on tmpfs). Repeatable: called again to
// bring content up to date, it writes only what changed. Short blocking file I/O only.
// Errors: kUnavailable while an object or token is still being read (wait, no event);
// kNotFound / kInvalidArgument with the kubelet's text "MountVolume.SetUp failed for volume "v" :
// …" → event FailedMount and a retry.
Status SetUpVolumes(const NodeContext& node, const EnvContext& context, const TokenLookup& tokens);

// The mounts of one container: volumeMounts (with subPath, subPathExpr expanded by `env`),
// /etc/hosts, the termination log; makes the files that they need.
Result<std::vector<cri::Mount>> MakeMounts(const NodeContext& node,
                                           const EnvContext& context,
                                           const kube::Container& container,
                                           uint32_t restart_count,
                                           const std::vector<cri::EnvVar>& env);

// Unmounts and deletes everything below SecretsDirectory() and PodDirectory(), in this order;
// success when it is gone already.
Status RemovePodDirectory(const NodeContext& node, const std::string& uid);

// The content of a container's termination log (≤ 4096 bytes), or with policy FallbackToLogsOnError
// the end of its log.
std::string ReadTerminationMessage(const NodeContext& node,
                                   const kube::Pod& pod,
                                   const cri::ContainerStatus& status);

}  // namespace farlet::pod
