#pragma once

#include <string>
#include <string_view>

namespace farlet::fargate {

// The names that AWS has given to labels, taints and annotations, all behind one prefix.
struct Names {
  Names();  // AWS's own
  explicit Names(std::string_view prefix);

  // Label of a pod: the profile that it runs under; set before admission, it asks for that one.
  std::string profile_label;  // "PREFIX/fargate-profile"
  // Label and taint of a node, node selector and toleration of a pod ("fargate"), annotation of a
  // pod that is to stay off ("ec2").
  std::string compute_type;  // "PREFIX/compute-type"
};

inline constexpr std::string_view kFargate = "fargate";
inline constexpr std::string_view kEc2 = "ec2";

// Annotation of a pod: "0.25vCPU 0.5GB". Tools parse this name and form.
inline constexpr std::string_view kCapacityAnnotation = "CapacityProvisioned";

// Manifests made for EKS may name AWS's scheduler; here kube-scheduler places all pods.
inline constexpr std::string_view kAwsScheduler = "fargate-scheduler";
inline constexpr std::string_view kDefaultScheduler = "default-scheduler";

// Extended resources that a node has as much of as it has CPU (in thousandths) and memory (in MiB),
// and of which a pod requests its provisioned size: what the scheduler counts, so that no node is
// promised to more than it holds, while the pod's own requests and limits stay as they were.
inline constexpr std::string_view kMilliCpuResource = "farlet.dev/provisioned-millicpu";
inline constexpr std::string_view kMemoryResource = "farlet.dev/provisioned-mebibytes";

}  // namespace farlet::fargate
