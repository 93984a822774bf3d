#pragma once

#include "proto/guest/v1/guest.pb.h"
#include "runtime/base/result.h"
#include "runtime/shim/spec/document.h"
#include "runtime/shim/spec/host_facts.h"
#include "runtime/shim/spec/mounts.h"

#include <string>
#include <string_view>
#include <vector>

namespace farlet::shim {

// What the guest is asked for, and what has to be brought there before.
struct ContainerPlan {
  guest::v1::CreateContainerRequest request;  // without rootfs layers and paths of shares
  std::vector<ShareNeed> shares;
  std::vector<VolumeNeed> volumes;
};

// Understands config.json of a container. Errors name the field: kInvalidArgument for what is
// malformed, kFailedPrecondition for what a VM cannot do, hooks among it.
Result<ContainerPlan> TranslateContainer(const Document& spec,
                                         const std::string& id,
                                         const HostFacts& facts);

// JSON of a process (an exec) and of resources (an update), as containerd sends them.
Result<guest::v1::Process> ParseProcess(std::string_view json);
Result<guest::v1::Resources> ParseResources(std::string_view json);

}  // namespace farlet::shim
