#include "runtime/vm/net/pod_network.h"

#include "runtime/base/undo.h"
#include "runtime/vm/net/namespace.h"
#include "runtime/vm/net/netlink.h"
#include "runtime/vm/net/pod_network_read.h"
#include "runtime/vm/net/redirect.h"

#include <net/if.h>

#include <cerrno>
#include <utility>

namespace farlet::net {
namespace {

Status DetachHere(NetlinkSocket& netlink) {
  FARLET_ASSIGN(const std::vector<Link> links, ReadLinks(netlink));
  // Everything is tried; the first error is the one that counts.
  Status result;
  for (const Link& link : links) {
    Status removed =
        link.our_tap ? DeleteLink(netlink, link.index) : RemoveRedirect(netlink, link.index);
    if (!removed && result) {
      result = Wrap(link.name, std::move(removed).error());
    }
  }
  return result;
}

Status Connect(NetlinkSocket& netlink,
               const Link& link,
               const SpareTap* spare,
               PodInterface& interface) {
  interface.tap_name = TapNameFor(link);
  if (spare != nullptr) {
    FARLET_TRY(AdoptTap(netlink, *spare, interface.tap_name, link.mtu));
  } else {
    FARLET_ASSIGN(interface.tap, MakeTap(netlink, interface.tap_name, link.mtu));
  }
  const auto tap = static_cast<int>(::if_nametoindex(interface.tap_name.c_str()));
  if (tap == 0) {
    return ErrnoError(errno, "find tap " + interface.tap_name);
  }
  FARLET_TRY(Redirect(netlink, link.index, tap));
  return Annotate(Redirect(netlink, tap, link.index), interface.tap_name);
}

Result<PodNetwork> AttachHere(const SpareTap* spare) {
  FARLET_ASSIGN(NetlinkSocket netlink, NetlinkSocket::Open());
  FARLET_TRY(Annotate(DetachHere(netlink), "remove what was left"));
  FARLET_ASSIGN(std::vector<Link> links, ReadLinks(netlink));
  std::erase_if(links, [](const Link& link) { return !link.up; });
  PodNetwork network;
  for (const Link& link : links) {
    network.interfaces.push_back({.name = link.name, .mac = link.mac, .mtu = link.mtu});
  }
  FARLET_TRY(ReadConfiguration(netlink, links, network));
  Undo detach([&] { (void)DetachHere(netlink); });
  for (size_t i = 0; i < links.size(); ++i) {
    const SpareTap* const first = i == 0 ? spare : nullptr;
    FARLET_TRY(Annotate(Connect(netlink, links[i], first, network.interfaces[i]), links[i].name));
  }
  detach.Dismiss();
  return network;
}

}  // namespace

Result<PodNetwork> Attach(const std::filesystem::path& netns_path, const SpareTap* spare) {
  FARLET_ASSIGN(const UniqueFd netns, OpenNetns(netns_path));
  Result<PodNetwork> network = PodNetwork{};
  Status entered = RunInNetns(netns.get(), [&]() -> Status {
    network = AttachHere(spare);
    return {};
  });
  if (!entered) {
    network = std::move(entered).error();
  }
  return Annotate(std::move(network), "attach to network namespace " + netns_path.string());
}

Status Detach(const std::filesystem::path& netns_path) {
  const Result<UniqueFd> netns = OpenNetns(netns_path);
  if (!netns) {
    const Code code = netns.error().code;
    // An unmounted namespace leaves nothing or an empty file, and took everything with it.
    return code == Code::kNotFound || code == Code::kInvalidArgument ? Status()
                                                                     : Status(netns.error());
  }
  return Annotate(RunInNetns(netns->get(),
                             []() -> Status {
                               FARLET_ASSIGN(NetlinkSocket netlink, NetlinkSocket::Open());
                               return DetachHere(netlink);
                             }),
                  "detach from network namespace " + netns_path.string());
}

}  // namespace farlet::net
