#pragma once

#include "provider/pod/cri_config.h"

#include <string>
#include <vector>

// What sandboxes and containers are allowed (kubelet-contract B7, "security_context").
namespace farlet::pod {

// What containers that are not privileged see nothing of, or may not write to, in /proc and /sys
// (procMount Default; kubelet-contract B7).
const std::vector<std::string>& MaskedPaths();
const std::vector<std::string>& ReadonlyPaths();

cri::SandboxSecurity MakeSandboxSecurity(const kube::Pod& pod);

// Errors: kInvalidArgument for a violation of runAsNonRoot.
Result<cri::ContainerSecurity> MakeContainerSecurity(const kube::Pod& pod,
                                                     const ContainerInputs& inputs,
                                                     const NodeContext& node);

}  // namespace farlet::pod
