#pragma once

#include "proto/guest/v1/guest.pb.h"
#include "runtime/base/fd.h"
#include "runtime/base/result.h"

#include <sys/types.h>

#include <chrono>
#include <compare>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace farlet::shim {

// A mount of a container's root file system as containerd names it in Create.
struct RootfsMount {
  std::string type;
  std::string source;
  std::vector<std::string> options;
};

struct SharedPath {
  std::filesystem::path host_path;
  bool readonly = false;
  bool writable_below = false;  // see ShareNeed

  auto operator<=>(const SharedPath&) const = default;
};

// A pod whose VM does not run within this has failed. The time during which the host had no CPU for
// it does not count, up to kLongestBoot: starts that are given up and tried again would only make a
// busy host busier.
inline constexpr std::chrono::milliseconds kBootLimit{10000};
inline constexpr std::chrono::milliseconds kLongestBoot{60000};

// What is known of a machine that runs.
struct BootedMachine {
  pid_t pid = 0;
  UniqueFd agent;  // the host's end of the guest agent's port
  // Readable when the machine, or its file server, is gone. Borrowed; -1: there is none.
  int exit_fd = -1;
  int files_exit_fd = -1;
  // What the guest has to be told first; without randomness and clock.
  guest::v1::PrepareRequest identity;
};

// Takes a connection into the pod: the port that was dialled, AF_INET or AF_INET6, and the socket.
// Called on any thread; must not block.
using ConnectionHandler = std::function<void(uint16_t port, int family, UniqueFd connection)>;

// The host's side of one pod: VM, network, disks, file server. All calls block, so they come from
// the pool, never from the I/O thread; thread safe. Tests put a fake in its place.
class Machine {
 public:
  Machine() = default;
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;
  // Releases everything.
  virtual ~Machine() = default;

  // Once, within kLongestBoot. After an error nothing is left but what Release() removes; a
  // Release() meanwhile makes it fail.
  virtual Result<BootedMachine> Boot() = 0;

  // For people: what Boot() is doing.
  virtual std::string Stage() const = 0;
  // How long those who work for the machine were ready to run but did not.
  virtual std::chrono::nanoseconds WaitedForCpu() const = 0;

  // Makes the root file system reachable in the guest; topmost layer first.
  virtual Result<std::vector<guest::v1::Layer>> PlaceRootfs(
      const std::vector<RootfsMount>& mounts) = 0;

  // Shows a file or folder of the host to the guest: the path below the file server's mount. What
  // is read-only is so on the host, whatever the guest does. The same again is counted; each
  // Share() has its Unshare().
  virtual Result<std::string> Share(const SharedPath& path) = 0;
  virtual void Unshare(const SharedPath& path) = 0;

  // Hands TCP connections that the host makes to the pod's loopback addresses to `handler`.
  virtual Status ForwardLoopback(ConnectionHandler handler) = 0;

  virtual Status Pause() = 0;
  virtual Status Resume() = 0;

  // For people: why the machine is gone; "running" before.
  virtual std::string ExitReason() const = 0;
  // Idempotent.
  virtual Status Kill() = 0;
  // Kill(), and all that was made on the host for it goes. Idempotent, quick.
  virtual void Release() = 0;
};

}  // namespace farlet::shim
