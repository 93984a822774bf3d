#pragma once

#include "provider/fargate/pod_facts.h"
#include "provider/fargate/profile.h"

#include <string>

namespace farlet::fargate {

// What the pod has and Fargate cannot run, all of it in one line in AWS's words and order; empty:
// nothing.
//
//   Pod not supported on Fargate: fields not supported: HostNetwork, HostPID, invalid
//   SecurityContext fields: Privileged,Capabilities added: NET_ADMIN, port contains HostIP or
//   HostPort, volumes not supported: data is of an unsupported volume Type
//
// What `allow` opens is not in it. `runtime_class` is the RuntimeClass of Fargate pods, which a pod
// may name itself.
std::string UnsupportedMessage(const PodFacts& pod,
                               const AllowList& allow,
                               const std::string& runtime_class);

}  // namespace farlet::fargate
