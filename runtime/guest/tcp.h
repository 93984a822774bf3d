#pragma once

#include "runtime/base/result.h"
#include "runtime/guest/stream.h"

#include <cstdint>
#include <map>
#include <memory>
#include <string>

namespace farlet::guest {

// Connections to servers on the pod's loopback interface.
class TcpConnections {
 public:
  explicit TcpConnections(boost::asio::io_context& context) : context_(context) {}

  // `address` "127.0.0.1", "::1" or "" for both in turn. Errors: kUnavailable when nobody listens.
  void Open(uint32_t port, const std::string& address, Callback<uint64_t> done);

  // Errors: kNotFound.
  Result<std::shared_ptr<OutputStream>> Reader(uint64_t id) const;
  Result<std::shared_ptr<InputStream>> Writer(uint64_t id) const;

  // `half`: what the server still sends can be read. Unknown ids are fine.
  void Close(uint64_t id, bool half);

 private:
  struct Connection {
    std::shared_ptr<OutputStream> reader;
    std::shared_ptr<InputStream> writer;
  };

  void Connect(uint32_t port, bool v6, Callback<uint64_t> done);
  Result<uint64_t> Add(UniqueFd socket);

  boost::asio::io_context& context_;
  std::map<uint64_t, Connection> open_;
  // Counted from here on, so that no id is used twice.
  uint64_t last_ = 0;
  size_t connecting_ = 0;
};

}  // namespace farlet::guest
