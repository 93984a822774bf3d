#include "runtime/vm/net/pod_network_read.h"

#include <fmt/format.h>

#include <arpa/inet.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>

namespace farlet::net {
namespace {

// "" when it is no address.
std::string AddressText(Bytes bytes) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const int family = bytes.size() == sizeof(in_addr) ? AF_INET : AF_INET6;
  if ((bytes.size() != sizeof(in_addr) && bytes.size() != sizeof(in6_addr)) ||
      ::inet_ntop(family, bytes.data(), text.data(), text.size()) == nullptr) {
    return "";
  }
  return text.data();
}

std::string MacText(Bytes bytes) {
  std::string text;
  for (const std::byte byte : bytes) {
    text += fmt::format("{}{:02x}", text.empty() ? "" : ":", static_cast<unsigned>(byte));
  }
  return text;
}

std::optional<size_t> Position(const std::vector<Link>& links, int index) {
  for (size_t i = 0; i < links.size(); ++i) {
    if (links[i].index == index) {
      return i;
    }
  }
  return std::nullopt;
}

void AddAddress(Bytes message, const std::vector<Link>& links, PodNetwork& network) {
  const auto info = FixedPart<ifaddrmsg>(message);
  const auto position = Position(links, static_cast<int>(info.ifa_index));
  if (!position || (info.ifa_family == AF_INET6 && info.ifa_scope == RT_SCOPE_LINK)) {
    return;
  }
  const auto attributes = AttributesAfter<ifaddrmsg>(message);
  // IFA_ADDRESS is the peer's on a point-to-point link.
  const std::string address =
      AddressText(attributes.Get(attributes.Has(IFA_LOCAL) ? IFA_LOCAL : IFA_ADDRESS));
  if (!address.empty()) {
    network.interfaces[*position].addresses.push_back(
        fmt::format("{}/{}", address, info.ifa_prefixlen));
  }
}

// The first hop of a route with several: the guest has no use for more than one way out of a pod.
void TakeFirstHop(Bytes hops, int& index, PodRoute& route) {
  const auto hop = FixedPart<rtnexthop>(hops);
  if (hop.rtnh_len < sizeof(hop) || hop.rtnh_len > hops.size()) {
    return;
  }
  const auto attributes = AttributesAfter<rtnexthop>(hops.subspan(0, hop.rtnh_len));
  index = hop.rtnh_ifindex;
  route.gateway = AddressText(attributes.Get(RTA_GATEWAY));
  route.onlink = (hop.rtnh_flags & RTNH_F_ONLINK) != 0;
}

bool IsConfigured(const rtmsg& info, const NetlinkAttributes& attributes) {
  const uint32_t table =
      attributes.Has(RTA_TABLE) ? attributes.Number(RTA_TABLE) : uint32_t{info.rtm_table};
  return table == RT_TABLE_MAIN && info.rtm_type == RTN_UNICAST &&
         (info.rtm_flags & RTM_F_CLONED) == 0 && info.rtm_protocol != RTPROT_KERNEL &&
         info.rtm_protocol != RTPROT_REDIRECT &&
         info.rtm_protocol != RTPROT_RA;  // the guest hears the router itself
}

void AddRoute(Bytes message, const std::vector<Link>& links, PodNetwork& network) {
  const auto info = FixedPart<rtmsg>(message);
  const auto attributes = AttributesAfter<rtmsg>(message);
  if (!IsConfigured(info, attributes)) {
    return;
  }
  PodRoute route{.gateway = AddressText(attributes.Get(RTA_GATEWAY)),
                 .source = AddressText(attributes.Get(RTA_PREFSRC)),
                 .scope = info.rtm_scope,
                 .onlink = (info.rtm_flags & RTNH_F_ONLINK) != 0,
                 .metric = attributes.Number(RTA_PRIORITY),
                 .ipv6 = info.rtm_family == AF_INET6};
  const Bytes via = attributes.Get(RTA_VIA);  // a gateway of the other family
  if (via.size() > sizeof(uint16_t)) {
    route.gateway = AddressText(via.subspan(sizeof(uint16_t)));
  }
  if (attributes.Has(RTA_METRICS)) {
    route.mtu = NetlinkAttributes(attributes.Get(RTA_METRICS)).Number(RTAX_MTU);
  }
  auto index = static_cast<int>(attributes.Number(RTA_OIF));
  if (attributes.Has(RTA_MULTIPATH)) {
    TakeFirstHop(attributes.Get(RTA_MULTIPATH), index, route);
  }
  const auto position = Position(links, index);
  if (!position) {
    return;
  }
  route.device = links[*position].name;
  if (info.rtm_dst_len > 0) {
    route.destination =
        fmt::format("{}/{}", AddressText(attributes.Get(RTA_DST)), info.rtm_dst_len);
  }
  network.routes.push_back(std::move(route));
}

void AddNeighbor(Bytes message, const std::vector<Link>& links, PodNetwork& network) {
  const auto info = FixedPart<ndmsg>(message);
  const auto attributes = AttributesAfter<ndmsg>(message);
  const auto position = Position(links, info.ndm_ifindex);
  const std::string address = AddressText(attributes.Get(NDA_DST));
  if (!position || (info.ndm_state & NUD_PERMANENT) == 0 || (info.ndm_flags & NTF_PROXY) != 0 ||
      address.empty() || !attributes.Has(NDA_LLADDR)) {
    return;
  }
  network.neighbors.push_back({.address = address,
                               .mac = MacText(attributes.Get(NDA_LLADDR)),
                               .device = links[*position].name});
}

// 0: reaches others by itself; 1: needs a route of group 0; 2: the default, last.
int Group(const PodRoute& route) {
  if (route.gateway.empty() || route.onlink) {
    return 0;
  }
  return route.destination.empty() ? 2 : 1;
}

}  // namespace

Status ReadConfiguration(NetlinkSocket& netlink,
                         const std::vector<Link>& links,
                         PodNetwork& network) {
  ifaddrmsg addresses{};
  addresses.ifa_family = AF_UNSPEC;
  FARLET_TRY(netlink.Dump(
      NetlinkRequest(RTM_GETADDR, NLM_F_DUMP, addresses), "list addresses",
      [&] {
        for (PodInterface& interface : network.interfaces) {
          interface.addresses.clear();
        }
      },
      [&](Bytes message) { AddAddress(message, links, network); }));
  rtmsg routes{};
  routes.rtm_family = AF_UNSPEC;
  FARLET_TRY(netlink.Dump(
      NetlinkRequest(RTM_GETROUTE, NLM_F_DUMP, routes), "list routes",
      [&] { network.routes.clear(); }, [&](Bytes message) { AddRoute(message, links, network); }));
  ndmsg neighbors{};
  neighbors.ndm_family = AF_UNSPEC;
  FARLET_TRY(netlink.Dump(
      NetlinkRequest(RTM_GETNEIGH, NLM_F_DUMP, neighbors), "list neighbors",
      [&] { network.neighbors.clear(); },
      [&](Bytes message) { AddNeighbor(message, links, network); }));
  std::stable_sort(network.routes.begin(), network.routes.end(),
                   [](const PodRoute& a, const PodRoute& b) { return Group(a) < Group(b); });
  return {};
}

}  // namespace farlet::net
