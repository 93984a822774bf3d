#include "runtime/guest/network.h"

#include "proto/guest/v1/guest.pb.h"
#include "runtime/guest/netlink.h"
#include "runtime/guest/sys.h"

#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <memory>

namespace farlet::guest {
namespace {

Result<unsigned> FindIndex(const std::string& name) {
  const unsigned index = ::if_nametoindex(name.c_str());
  if (index == 0) {
    return ErrnoError(errno, "find interface " + name);
  }
  return index;
}

// The index of the interface whose MAC is `mac`.
Result<unsigned> FindByMac(const std::array<uint8_t, 6>& mac) {
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const std::unique_ptr<struct if_nameindex, void (*)(struct if_nameindex*)> all(
      ::if_nameindex(), ::if_freenameindex);
  for (const struct if_nameindex* one = all.get(); one != nullptr && one->if_index != 0; ++one) {
    ifreq request{};
    ::strncpy(request.ifr_name, one->if_name, IFNAMSIZ - 1);
    if (::ioctl(socket.get(), SIOCGIFHWADDR, &request) == 0 &&
        std::memcmp(request.ifr_hwaddr.sa_data, mac.data(), mac.size()) == 0) {
      return one->if_index;
    }
  }
  return NotFound("no interface has this MAC address");
}

bool IsUp(unsigned index) {
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  return ::if_indextoname(index, request.ifr_name) != nullptr &&
         ::ioctl(socket.get(), SIOCGIFFLAGS, &request) == 0 &&
         (static_cast<unsigned>(request.ifr_flags) & IFF_UP) != 0;
}

NetlinkRequest LinkRequest(unsigned index, bool up) {
  NetlinkRequest request(RTM_NEWLINK, 0);
  ifinfomsg header{};
  header.ifi_family = AF_UNSPEC;
  header.ifi_index = static_cast<int>(index);
  header.ifi_change = IFF_UP;
  header.ifi_flags = up ? IFF_UP : 0;
  request.AddHeader(header);
  return request;
}

NetlinkRequest AddressRequest(uint16_t type,
                              uint16_t flags,
                              unsigned index,
                              const IpPrefix& prefix) {
  NetlinkRequest request(type, flags);
  ifaddrmsg header{};
  header.ifa_family = static_cast<uint8_t>(prefix.address.family);
  header.ifa_prefixlen = prefix.length;
  header.ifa_index = index;
  // The host has checked for duplicates; the pod must not wait for it again.
  header.ifa_flags = IFA_F_NODAD;
  request.AddHeader(header);
  request.AddAttribute(IFA_LOCAL, prefix.address.bytes.data(), prefix.address.size);
  request.AddAttribute(IFA_ADDRESS, prefix.address.bytes.data(), prefix.address.size);
  return request;
}

Status AddAddress(NetlinkSocket& socket, unsigned index, const std::string& text) {
  FARLET_ASSIGN(const IpPrefix prefix, ParsePrefix(text));
  NetlinkRequest request = AddressRequest(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, index, prefix);
  if (prefix.address.family == AF_INET && prefix.length < 31) {
    IpAddress broadcast = prefix.address;
    for (unsigned bit = prefix.length; bit < 32; ++bit) {
      broadcast.bytes[bit / 8] |= static_cast<uint8_t>(0x80u >> bit % 8);
    }
    request.AddAttribute(IFA_BROADCAST, broadcast.bytes.data(), broadcast.size);
  }
  return socket.Do(std::move(request), "add address " + text);
}

// Routes and neighbors go when the link goes down.
Status TakeDownInterface(NetlinkSocket& socket, const v1::Interface& named) {
  FARLET_ASSIGN(const unsigned index, FindIndex(named.name()));
  for (const std::string& address : named.addresses()) {
    FARLET_ASSIGN(const IpPrefix prefix, ParsePrefix(address));
    FARLET_TRY(
        socket.Do(AddressRequest(RTM_DELADDR, 0, index, prefix), "remove address " + address));
  }
  return socket.Do(LinkRequest(index, false), "bring it down");
}

Status SetUpInterface(NetlinkSocket& socket, const v1::Interface& wanted) {
  auto found = FindIndex(wanted.name());
  std::array<uint8_t, 6> mac{};
  if (!wanted.mac().empty()) {
    FARLET_ASSIGN(mac, ParseMac(wanted.mac()));
    if (!found) {
      found = FindByMac(mac);
    }
  }
  FARLET_ASSIGN(const unsigned index, std::move(found));
  // Name and MAC can be changed only while it is down. In one request the kernel brings it up last.
  if (IsUp(index)) {
    FARLET_TRY(socket.Do(LinkRequest(index, false), "bring it down"));
  }
  NetlinkRequest change = LinkRequest(index, true);
  change.AddText(IFLA_IFNAME, wanted.name());
  if (!wanted.mac().empty()) {
    change.AddAttribute(IFLA_ADDRESS, mac.data(), mac.size());
  }
  if (wanted.mtu() != 0) {
    change.AddNumber(IFLA_MTU, wanted.mtu());
  }
  FARLET_TRY(socket.Do(std::move(change), "set name, MAC and MTU, and bring it up"));
  for (const std::string& address : wanted.addresses()) {
    FARLET_TRY(AddAddress(socket, index, address));
  }
  return {};
}

// The default route's family is that of what the route names.
Result<IpPrefix> Destination(const v1::Route& route) {
  if (!route.destination().empty() && route.destination() != "default") {
    return ParsePrefix(route.destination());
  }
  IpPrefix all{.address = {.family = AF_INET, .size = 4}};
  for (const std::string& other : {route.gateway(), route.source()}) {
    if (!other.empty()) {
      FARLET_ASSIGN(const IpAddress address, ParseAddress(other));
      all.address.family = address.family;
      all.address.size = address.size;
      break;
    }
  }
  return all;
}

Status AddRoute(NetlinkSocket& socket, const v1::Route& route) {
  FARLET_ASSIGN(const IpPrefix destination, Destination(route));
  NetlinkRequest request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE);
  rtmsg header{};
  header.rtm_family = static_cast<uint8_t>(destination.address.family);
  header.rtm_dst_len = destination.length;
  header.rtm_table = RT_TABLE_MAIN;
  header.rtm_protocol = RTPROT_STATIC;
  header.rtm_type = RTN_UNICAST;
  header.rtm_flags = route.onlink() ? RTNH_F_ONLINK : 0;
  const bool link =
      route.scope() == 0 && route.gateway().empty() && destination.address.family == AF_INET;
  header.rtm_scope = static_cast<uint8_t>(link ? uint32_t{RT_SCOPE_LINK} : route.scope());
  request.AddHeader(header);
  if (destination.length != 0) {
    request.AddAttribute(RTA_DST, destination.address.bytes.data(), destination.address.size);
  }
  if (!route.gateway().empty()) {
    FARLET_ASSIGN(const IpAddress gateway, ParseAddress(route.gateway()));
    if (gateway.family != destination.address.family) {
      return InvalidArgument("the gateway is of another family");
    }
    request.AddAttribute(RTA_GATEWAY, gateway.bytes.data(), gateway.size);
  }
  if (!route.source().empty()) {
    FARLET_ASSIGN(const IpAddress source, ParseAddress(route.source()));
    request.AddAttribute(RTA_PREFSRC, source.bytes.data(), source.size);
  }
  if (!route.device().empty()) {
    FARLET_ASSIGN(const unsigned index, FindIndex(route.device()));
    request.AddNumber(RTA_OIF, index);
  }
  if (route.metric() != 0) {
    request.AddNumber(RTA_PRIORITY, route.metric());
  }
  return socket.Do(std::move(request), "add it");
}

Status AddNeighbor(NetlinkSocket& socket, const v1::Neighbor& neighbor) {
  FARLET_ASSIGN(const IpAddress address, ParseAddress(neighbor.address()));
  FARLET_ASSIGN(const auto mac, ParseMac(neighbor.mac()));
  FARLET_ASSIGN(const unsigned index, FindIndex(neighbor.device()));
  NetlinkRequest request(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE);
  ndmsg header{};
  header.ndm_family = static_cast<uint8_t>(address.family);
  header.ndm_ifindex = static_cast<int>(index);
  header.ndm_state = NUD_PERMANENT;
  request.AddHeader(header);
  request.AddAttribute(NDA_DST, address.bytes.data(), address.size);
  request.AddAttribute(NDA_LLADDR, mac.data(), mac.size());
  return socket.Do(std::move(request), "add it");
}

}  // namespace

Status SetUpLoopback() {
  FARLET_ASSIGN(auto socket, NetlinkSocket::Open());
  FARLET_ASSIGN(const unsigned loopback, FindIndex("lo"));
  return socket.Do(LinkRequest(loopback, true), "bring up loopback");
}

Status SetUpNetwork(const v1::PrepareRequest& request) {
  FARLET_ASSIGN(auto socket, NetlinkSocket::Open());
  for (const v1::Interface& wanted : request.interfaces()) {
    FARLET_TRY(Annotate(SetUpInterface(socket, wanted), "interface " + wanted.name()));
  }
  for (const v1::Route& route : request.routes()) {
    const std::string name = route.destination().empty() ? "default" : route.destination();
    FARLET_TRY(Annotate(AddRoute(socket, route), "route " + name + " " + route.gateway()));
  }
  for (const v1::Neighbor& neighbor : request.neighbors()) {
    FARLET_TRY(Annotate(AddNeighbor(socket, neighbor), "neighbor " + neighbor.address()));
  }
  return {};
}

Status TakeDownNetwork(const v1::PrepareRequest& request) {
  FARLET_ASSIGN(auto socket, NetlinkSocket::Open());
  for (const v1::Interface& named : request.interfaces()) {
    FARLET_TRY(Annotate(TakeDownInterface(socket, named), "interface " + named.name()));
  }
  return {};
}

}  // namespace farlet::guest
