#include "runtime/vm/null_tap.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <cstring>
#include <thread>

namespace farlet::vm {
namespace {

Result<UniqueFd> MakeHere() {
  if (::unshare(CLONE_NEWNET) != 0) {
    return ErrnoError(errno, "make a network namespace");
  }
  UniqueFd tap(::open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK));
  if (!tap.valid()) {
    return ErrnoError(errno, "open /dev/net/tun");
  }
  ifreq request{};
  std::strncpy(request.ifr_name, "tap0", IFNAMSIZ - 1);
  request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
  if (::ioctl(tap.get(), TUNSETIFF, &request) != 0) {
    return ErrnoError(errno, "make a tap device");
  }
  return tap;
}

}  // namespace

Result<UniqueFd> MakeNullTap() {
  // The namespace changes for one thread only, which ends here.
  Result<UniqueFd> tap = UniqueFd();
  std::thread([&tap] { tap = MakeHere(); }).join();
  return tap;
}

}  // namespace farlet::vm
