#pragma once

#include "runtime/base/fd.h"
#include "runtime/base/result.h"
#include "runtime/vm/net/netlink.h"

#include <cstdint>
#include <string>

namespace farlet::net {

// A tap in a network namespace of its own that nothing else is in: a machine has it before there is
// a pod whose network it could belong to. Both end with the descriptors.
struct SpareTap {
  UniqueFd tap;  // as PodInterface's
  UniqueFd netns;
};

Result<SpareTap> MakeSpareTap();

// Moves it into the network namespace of the calling thread, whose socket `netlink` is, and brings
// it up there. Who holds the tap notices nothing.
Status AdoptTap(NetlinkSocket& netlink,
                const SpareTap& spare,
                const std::string& name,
                uint32_t mtu);

}  // namespace farlet::net
