#pragma once

#include "runtime/base/result.h"
#include "runtime/vm/net/netlink.h"
#include "runtime/vm/net/pod_network.h"
#include "runtime/vm/net/redirect.h"

#include <vector>

namespace farlet::net {

// Fills addresses of `network.interfaces` (one for each of `links`, in their order), its routes
// and neighbors.
Status ReadConfiguration(NetlinkSocket& netlink,
                         const std::vector<Link>& links,
                         PodNetwork& network);

}  // namespace farlet::net
