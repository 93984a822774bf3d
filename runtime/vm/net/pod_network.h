#pragma once

#include "runtime/base/fd.h"
#include "runtime/base/result.h"
#include "runtime/vm/net/spare_tap.h"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

// The network of a pod: what the CNI plugins left in the pod's network namespace on the host, and
// the way of its frames into the VM. rtnetlink only; no programs are run.
namespace farlet::net {

// An Ethernet interface of the namespace and the tap that stands for it.
struct PodInterface {
  std::string name;
  std::string mac;  // "02:42:0a:63:00:02"
  uint32_t mtu = 0;
  // "address/prefix", IPv4 first. No IPv6 link-local address: the guest derives it from the MAC.
  std::vector<std::string> addresses;
  // Opened with IFF_TAP | IFF_NO_PI | IFF_VNET_HDR, non-blocking. QEMU: -netdev tap,fd=N.
  UniqueFd tap;
  std::string tap_name;
};

struct PodRoute {
  std::string destination;  // "10.0.0.0/8"; "" is the default route
  std::string gateway;      // "" when on link
  std::string device;       // name of the interface
  std::string source;       // preferred source address, "" when none
  uint32_t scope = 0;       // RT_SCOPE_UNIVERSE or RT_SCOPE_LINK
  bool onlink = false;      // the gateway needs no route of its own
  uint32_t metric = 0;
  uint32_t mtu = 0;  // 0: the interface's
  bool ipv6 = false;
};

// A static (permanent) entry.
struct PodNeighbor {
  std::string address;
  std::string mac;
  std::string device;
};

struct PodNetwork {
  std::vector<PodInterface> interfaces;  // by index: eth0 first
  // In an order in which they can be added: those without a gateway first. Without the routes that
  // the kernel adds by itself with an address.
  std::vector<PodRoute> routes;
  std::vector<PodNeighbor> neighbors;
};

// Reads the network of the namespace and connects each interface to a new tap: same MTU, up, and
// every frame that arrives on one goes out of the other, so the host's own stack in the namespace
// sees none. The interfaces keep their addresses and counters. A namespace without Ethernet
// interfaces gives an empty PodNetwork.
//
// What an earlier Attach left is replaced. On an error nothing is left. Blocks for a few
// milliseconds; works on a thread of its own, so the caller's thread keeps its namespace. Needs
// CAP_NET_ADMIN and CAP_SYS_ADMIN. Errors name the interface and the step; kNotFound when there is
// no namespace at the path, kInvalidArgument when there is something else.
//
// With a `spare`, that is moved here and becomes the first interface's tap, whose descriptor its
// PodInterface then lacks.
Result<PodNetwork> Attach(const std::filesystem::path& netns_path, const SpareTap* spare = nullptr);

// Removes the taps and the redirects. Idempotent: a namespace without them, or none at all, is
// fine.
Status Detach(const std::filesystem::path& netns_path);

}  // namespace farlet::net
