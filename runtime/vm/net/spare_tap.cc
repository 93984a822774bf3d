#include "runtime/vm/net/spare_tap.h"

#include "runtime/vm/net/namespace.h"
#include "runtime/vm/net/redirect.h"

#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>

#include <cerrno>
#include <system_error>
#include <thread>

namespace farlet::net {
namespace {

constexpr const char* kName = "spare0";
constexpr uint32_t kMtu = 1500;  // until there is a pod

Result<SpareTap> MakeHere() {
  if (::unshare(CLONE_NEWNET) != 0) {
    return ErrnoError(errno, "make a network namespace");
  }
  SpareTap spare;
  spare.netns = UniqueFd(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  if (!spare.netns.valid()) {
    return ErrnoError(errno, "open a network namespace");
  }
  FARLET_ASSIGN(NetlinkSocket netlink, NetlinkSocket::Open());
  FARLET_ASSIGN(spare.tap, MakeTap(netlink, kName, kMtu));
  return spare;
}

Status MoveFrom(int from, int to, const std::string& name) {
  return RunInNetns(from, [&]() -> Status {
    ifinfomsg info{};
    info.ifi_family = AF_UNSPEC;
    info.ifi_index = static_cast<int>(::if_nametoindex(kName));
    if (info.ifi_index == 0) {
      return ErrnoError(errno, "find the spare tap");
    }
    FARLET_ASSIGN(NetlinkSocket netlink, NetlinkSocket::Open());
    NetlinkRequest move(RTM_NEWLINK, 0, info);
    move.AddNumber<uint32_t>(IFLA_NET_NS_FD, static_cast<uint32_t>(to));
    move.AddString(IFLA_IFNAME, name);
    return netlink.Request(std::move(move), "move the spare tap");
  });
}

}  // namespace

Result<SpareTap> MakeSpareTap() {
  // The namespace changes for one thread only, which ends here.
  Result<SpareTap> spare = SpareTap();
  try {
    std::thread([&spare] { spare = MakeHere(); }).join();
  } catch (const std::system_error& error) {
    return MakeError(Code::kResourceExhausted, std::string("start a thread: ") + error.what());
  }
  return spare;
}

Status AdoptTap(NetlinkSocket& netlink,
                const SpareTap& spare,
                const std::string& name,
                uint32_t mtu) {
  const UniqueFd here(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  if (!here.valid()) {
    return ErrnoError(errno, "open the pod's network namespace");
  }
  FARLET_TRY(MoveFrom(spare.netns.get(), here.get(), name));
  return BringTapUp(netlink, name, mtu);
}

}  // namespace farlet::net
