#pragma once

#include "provider/pod/cri_config.h"

// What sandboxes and containers are allowed (kubelet-contract B7, "security_context").
namespace farlet::pod {

cri::SandboxSecurity MakeSandboxSecurity(const kube::Pod& pod);

// Errors: kInvalidArgument for a violation of runAsNonRoot.
Result<cri::ContainerSecurity> MakeContainerSecurity(const kube::Pod& pod,
                                                     const ContainerInputs& inputs,
                                                     const NodeContext& node);

}  // namespace farlet::pod
