#pragma once

#include "runtime/base/fd.h"
#include "runtime/shim/pod.h"

#include <boost/asio/io_context.hpp>

#include <cstdint>
#include <memory>

namespace farlet::shim {

// Carries TCP connections that the host makes to the pod's loopback addresses (containerd's
// port-forward) into the guest. I/O thread only, but for Accept().
class PortForwarder final : public std::enable_shared_from_this<PortForwarder> {
 public:
  static constexpr size_t kMaxConnections = 64;

  PortForwarder(boost::asio::io_context& io, std::shared_ptr<Pod> pod);

  // Any thread. `family` is AF_INET or AF_INET6. Reset when the guest has nobody there or too many
  // are open.
  void Accept(uint16_t port, int family, UniqueFd connection);

 private:
  class Relay;

  void Open(uint16_t port, int family, std::shared_ptr<UniqueFd> connection);

  boost::asio::io_context& io_;
  const std::shared_ptr<Pod> pod_;
  size_t open_ = 0;
};

}  // namespace farlet::shim
