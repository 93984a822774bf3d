#include "runtime/vm/net/redirect.h"

#include <fmt/format.h>

#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_tun.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_mirred.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>

namespace farlet::net {
namespace {

constexpr std::string_view kTapPrefix = "ftap";
// Marks our filters among those of others: "fa" for farlet.
constexpr uint32_t kFilterPriority = 0xfa01;
constexpr uint32_t kIngressHandle = 0xffff0000;  // "ffff:"
// IN6_ADDR_GEN_MODE_NONE of linux/if_link.h, whose other content clashes with net/if.h.
constexpr uint8_t kNoAddresses = 1;
constexpr uint16_t kInet6AddrGenMode = 8;  // IFLA_INET6_ADDR_GEN_MODE

tcmsg TrafficControl(int link) {
  tcmsg message{};
  message.tcm_family = AF_UNSPEC;
  message.tcm_ifindex = link;
  return message;
}

tcmsg IngressQdisc(int link) {
  tcmsg message = TrafficControl(link);
  message.tcm_parent = TC_H_INGRESS;
  message.tcm_handle = kIngressHandle;
  return message;
}

tcmsg OurFilter(int link) {
  tcmsg message = TrafficControl(link);
  message.tcm_parent = kIngressHandle;
  message.tcm_info = (kFilterPriority << 16U) | htons(ETH_P_ALL);
  return message;
}

Link ParseLink(const ifinfomsg& info, const NetlinkAttributes& attributes) {
  Link link{.index = info.ifi_index,
            .name = attributes.String(IFLA_IFNAME),
            .mtu = attributes.Number(IFLA_MTU),
            .up = (info.ifi_flags & IFF_UP) != 0};
  for (const std::byte byte : attributes.Get(IFLA_ADDRESS)) {
    link.mac += fmt::format("{}{:02x}", link.mac.empty() ? "" : ":", static_cast<unsigned>(byte));
  }
  const std::string_view digits = std::string_view(link.name).substr(
      link.name.starts_with(kTapPrefix) ? kTapPrefix.size() : link.name.size());
  link.our_tap = !digits.empty() && digits.find_first_not_of("0123456789") == std::string::npos;
  return link;
}

// Without an address of its own the host's stack sends nothing (router solicitations, duplicate
// address detection) into the guest.
void KeepWithoutAddresses(NetlinkSocket& netlink, const ifinfomsg& info) {
  NetlinkRequest request(RTM_NEWLINK, 0, info);
  request.AddNested(IFLA_AF_SPEC, [&] {
    request.AddNested(AF_INET6, [&] { request.AddNumber(kInet6AddrGenMode, kNoAddresses); });
  });
  // Fails where the kernel has no IPv6, and then there is nothing to keep away.
  (void)netlink.RequestErrno(std::move(request), "switch IPv6 addresses off");
}

Status AddIngressQdisc(NetlinkSocket& netlink, int link) {
  NetlinkRequest qdisc(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, IngressQdisc(link));
  qdisc.AddString(TCA_KIND, "ingress");
  FARLET_ASSIGN(const int error, netlink.RequestErrno(std::move(qdisc), "add ingress qdisc"));
  if (error != 0 && error != EEXIST) {
    return ErrnoError(error, "add ingress qdisc");
  }
  return {};
}

// A selector and one key, which looks at no bit.
void AddMatchAll(NetlinkRequest& filter) {
  tc_u32_sel select{};
  select.flags = TC_U32_TERMINAL;
  select.nkeys = 1;
  std::array<std::byte, sizeof(tc_u32_sel) + sizeof(tc_u32_key)> match{};
  std::memcpy(match.data(), &select, sizeof(select));
  filter.Add(TCA_U32_SEL, match.data(), match.size());
}

void AddMirred(NetlinkRequest& filter, int to) {
  tc_mirred mirred{};
  mirred.action = TC_ACT_STOLEN;
  mirred.eaction = TCA_EGRESS_REDIR;
  mirred.ifindex = static_cast<uint32_t>(to);
  filter.AddString(TCA_ACT_KIND, "mirred");
  filter.AddNested(TCA_ACT_OPTIONS, [&] { filter.Add(TCA_MIRRED_PARMS, &mirred, sizeof(mirred)); });
}

Result<bool> HasIngressQdisc(NetlinkSocket& netlink, int link) {
  bool found = false;
  FARLET_TRY(netlink.Dump(
      NetlinkRequest(RTM_GETQDISC, NLM_F_DUMP, TrafficControl(link)), "list qdiscs",
      [&] { found = false; },
      [&](Bytes message) {
        const auto qdisc = FixedPart<tcmsg>(message);
        found |= qdisc.tcm_ifindex == link && qdisc.tcm_handle == kIngressHandle &&
                 AttributesAfter<tcmsg>(message).String(TCA_KIND) == "ingress";
      }));
  return found;
}

Result<bool> HasIngressFilters(NetlinkSocket& netlink, int link) {
  bool found = false;
  tcmsg all = TrafficControl(link);
  all.tcm_parent = kIngressHandle;
  FARLET_TRY(netlink.Dump(
      NetlinkRequest(RTM_GETTFILTER, NLM_F_DUMP, all), "list filters", [&] { found = false; },
      [&](Bytes) { found = true; }));
  return found;
}

}  // namespace

Result<std::vector<Link>> ReadLinks(NetlinkSocket& netlink) {
  std::vector<Link> links;
  ifinfomsg all{};
  all.ifi_family = AF_UNSPEC;
  FARLET_TRY(netlink.Dump(
      NetlinkRequest(RTM_GETLINK, NLM_F_DUMP, all), "list interfaces", [&] { links.clear(); },
      [&](Bytes message) {
        const auto info = FixedPart<ifinfomsg>(message);
        if (info.ifi_type == ARPHRD_ETHER && (info.ifi_flags & IFF_LOOPBACK) == 0) {
          links.push_back(ParseLink(info, AttributesAfter<ifinfomsg>(message)));
        }
      }));
  std::sort(links.begin(), links.end(),
            [](const Link& a, const Link& b) { return a.index < b.index; });
  return links;
}

std::string TapNameFor(const Link& link) {
  return fmt::format("{}{}", kTapPrefix, link.index);
}

Result<UniqueFd> MakeTap(NetlinkSocket& netlink, const std::string& name, uint32_t mtu) {
  UniqueFd tap(::open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK));
  if (!tap.valid()) {
    return ErrnoError(errno, "open /dev/net/tun");
  }
  ifreq request{};
  name.copy(static_cast<char*>(request.ifr_name), IFNAMSIZ - 1);
  request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
  if (::ioctl(tap.get(), TUNSETIFF, &request) != 0) {
    return ErrnoError(errno, "make tap " + name);
  }
  FARLET_TRY(BringTapUp(netlink, name, mtu));
  return tap;
}

Status BringTapUp(NetlinkSocket& netlink, const std::string& name, uint32_t mtu) {
  ifinfomsg info{};
  info.ifi_family = AF_UNSPEC;
  info.ifi_index = static_cast<int>(::if_nametoindex(name.c_str()));
  if (info.ifi_index == 0) {
    return ErrnoError(errno, "find tap " + name);
  }
  KeepWithoutAddresses(netlink, info);
  info.ifi_flags = IFF_UP;
  info.ifi_change = IFF_UP;
  NetlinkRequest up(RTM_NEWLINK, 0, info);
  up.AddNumber<uint32_t>(IFLA_MTU, mtu);
  return netlink.Request(std::move(up), fmt::format("bring tap {} up, MTU {}", name, mtu));
}

Status Redirect(NetlinkSocket& netlink, int from, int to) {
  FARLET_TRY(AddIngressQdisc(netlink, from));
  // u32 and not matchall, which some kernels do not have.
  NetlinkRequest filter(RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, OurFilter(from));
  filter.AddString(TCA_KIND, "u32");
  filter.AddNested(TCA_OPTIONS, [&] {
    AddMatchAll(filter);
    filter.AddNested(TCA_U32_ACT, [&] { filter.AddNested(1, [&] { AddMirred(filter, to); }); });
  });
  return netlink.Request(std::move(filter), "add redirect filter");
}

Status RemoveRedirect(NetlinkSocket& netlink, int from) {
  FARLET_ASSIGN(const bool there, HasIngressQdisc(netlink, from));
  if (!there) {
    return {};
  }
  FARLET_ASSIGN(int error, netlink.RequestErrno(NetlinkRequest(RTM_DELTFILTER, 0, OurFilter(from)),
                                                "remove redirect filter"));
  if (error != 0 && error != ENOENT) {
    return ErrnoError(error, "remove redirect filter");
  }
  FARLET_ASSIGN(const bool others, HasIngressFilters(netlink, from));
  if (others) {
    return {};
  }
  FARLET_ASSIGN(error, netlink.RequestErrno(NetlinkRequest(RTM_DELQDISC, 0, IngressQdisc(from)),
                                            "remove ingress qdisc"));
  if (error != 0 && error != ENOENT) {
    return ErrnoError(error, "remove ingress qdisc");
  }
  return {};
}

Status DeleteLink(NetlinkSocket& netlink, int index) {
  ifinfomsg info{};
  info.ifi_family = AF_UNSPEC;
  info.ifi_index = index;
  FARLET_ASSIGN(const int error,
                netlink.RequestErrno(NetlinkRequest(RTM_DELLINK, 0, info), "delete interface"));
  if (error != 0 && error != ENODEV) {
    return ErrnoError(error, "delete interface");
  }
  return {};
}

}  // namespace farlet::net
