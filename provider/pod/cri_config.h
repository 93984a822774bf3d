#pragma once

#include "kube/api/pod.h"
#include "provider/pod/node_context.h"
#include "runtime/cri/types.h"

#include <string>
#include <vector>

namespace farlet::pod {

// kubelet-contract B7, "PodSandboxConfig": pure but for reading node.resolv_conf (dnsPolicy
// Default). `warnings` gets the texts of DNS events (MissingClusterDNS, DNSConfigForming).
struct PodWarning {
  std::string reason;
  std::string message;
};

Result<cri::SandboxConfig> MakeSandboxConfig(const kube::Pod& pod,
                                             uint32_t attempt,
                                             const NodeContext& node,
                                             std::vector<PodWarning>& warnings);

// What the caller has prepared for one container.
struct ContainerInputs {
  const kube::Container& container;
  uint32_t restart_count = 0;
  std::string image_ref;  // what to run (ImageStatus.id)
  // From the image: used when the pod says nothing.
  std::optional<int64_t> image_uid;
  std::string image_username;
  std::vector<cri::EnvVar> env;
  std::vector<cri::Mount> mounts;
};

// kubelet-contract B7, "ContainerConfig". Errors: kInvalidArgument with the kubelet's text
// (runAsNonRoot violations) → CreateContainerConfigError.
Result<cri::ContainerConfig> MakeContainerConfig(const kube::Pod& pod,
                                                 const ContainerInputs& inputs,
                                                 const NodeContext& node);

// "/kubepods/burstable/pod<uid>" below node.cgroup_root, or the systemd slice of the same.
std::string PodCgroupParent(const kube::Pod& pod, const NodeContext& node);

// The stable hash that tells whether a running container still is what the spec says.
std::string ContainerHash(const kube::Container& container);

// Annotation names of containers (kubelet-contract B7).
inline constexpr char kHashAnnotation[] = "io.kubernetes.container.hash";
inline constexpr char kRestartCountAnnotation[] = "io.kubernetes.container.restartCount";
inline constexpr char kTerminationPathAnnotation[] =
    "io.kubernetes.container.terminationMessagePath";
inline constexpr char kTerminationPolicyAnnotation[] =
    "io.kubernetes.container.terminationMessagePolicy";
inline constexpr char kPodGraceAnnotation[] = "io.kubernetes.pod.terminationGracePeriod";

}  // namespace farlet::pod
