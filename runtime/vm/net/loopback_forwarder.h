#pragma once

#include "runtime/base/fd.h"
#include "runtime/base/result.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <thread>

namespace farlet::net {

// Takes every TCP connection that a host process makes to a loopback address inside the pod's
// network namespace, whatever the port: containerd's port-forward dials localhost:PORT there, while
// the server listens in the guest.
//
// A BPF program (type SK_LOOKUP, Linux 5.9) in the namespace answers the kernel's search for a
// listening socket: 127.0.0.0/8 and ::1 go to two listeners of ours, and the address that the
// client dialled stays the connection's own. No netfilter, no connection tracking, and nothing to
// clean up: the program leaves the namespace when this object goes, or its process dies. Guest
// traffic does not pass here, for its frames never reach the namespace's stack (see Attach).
//
// A connection is accepted before anybody knows whether the guest listens on the port; when it
// does not, close the descriptor, or reset it by SO_LINGER of 0 s.
class LoopbackForwarder {
 public:
  // A connection: the port that was dialled, AF_INET or AF_INET6, and the connected, non-blocking
  // socket. Called on the forwarder's thread, one at a time; must not block.
  using Handler = std::function<void(uint16_t port, int family, UniqueFd connection)>;

  // Also brings `lo` up. A kernel without IPv6 gives an IPv4-only forwarder. Needs CAP_NET_ADMIN,
  // CAP_SYS_ADMIN and CAP_BPF. kNotFound: no namespace; kUnimplemented: the kernel cannot.
  static Result<std::unique_ptr<LoopbackForwarder>> Start(const std::filesystem::path& netns_path,
                                                          Handler handler);

  LoopbackForwarder(const LoopbackForwarder&) = delete;
  LoopbackForwarder& operator=(const LoopbackForwarder&) = delete;

  // Waits for a running call of the handler. Connections handed over live on. Not from the handler.
  ~LoopbackForwarder();

 private:
  struct Parts {
    UniqueFd ipv4;
    UniqueFd ipv6;
    UniqueFd link;  // holds the program in the namespace
  };

  LoopbackForwarder(Parts parts, UniqueFd stop, Handler handler);

  static Result<Parts> Prepare(int netns);
  void Run();

  Parts parts_;
  UniqueFd stop_;  // eventfd
  Handler handler_;
  std::thread thread_;
};

}  // namespace farlet::net
