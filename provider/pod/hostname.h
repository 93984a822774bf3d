#pragma once

#include "kube/api/pod.h"
#include "provider/pod/node_context.h"

#include <string>

namespace farlet::pod {

// What a pod is called inside (kubelet-contract B5, "hostname").
struct PodHostname {
  std::string name;    // at most 63 characters
  std::string domain;  // "<subdomain>.<namespace>.svc.<cluster domain>" or ""
};

// Error: kInvalidArgument when nothing is left of a name that is too long.
Result<PodHostname> MakePodHostname(const kube::Pod& pod, const NodeContext& node);

// What the kernel is told: the name, or with setHostnameAsFQDN name and domain. Error:
// kInvalidArgument when that is longer than the kernel allows.
Result<std::string> KernelHostname(const kube::Pod& pod, const NodeContext& node);

}  // namespace farlet::pod
