#pragma once

#include "runtime/base/fd.h"
#include "runtime/base/result.h"
#include "runtime/vm/net/netlink.h"

#include <cstdint>
#include <string>
#include <vector>

// Links, taps and traffic control in the network namespace of the calling thread. Errors say the
// step; callers add the interface.
namespace farlet::net {

struct Link {
  int index = 0;
  std::string name;
  std::string mac;
  uint32_t mtu = 0;
  bool up = false;
  bool our_tap = false;
};

// Ethernet links, by index.
Result<std::vector<Link>> ReadLinks(NetlinkSocket& netlink);

std::string TapNameFor(const Link& link);

// A tap that lives as long as the descriptor, or until it is deleted; up, without addresses.
Result<UniqueFd> MakeTap(NetlinkSocket& netlink, const std::string& name, uint32_t mtu);

// What MakeTap does to a tap that is there.
Status BringTapUp(NetlinkSocket& netlink, const std::string& name, uint32_t mtu);

// Every frame that arrives at `from` leaves through `to`.
Status Redirect(NetlinkSocket& netlink, int from, int to);

// Takes away what Redirect made at a link, and an ingress qdisc that is empty then. Idempotent.
Status RemoveRedirect(NetlinkSocket& netlink, int from);

// Idempotent.
Status DeleteLink(NetlinkSocket& netlink, int index);

}  // namespace farlet::net
