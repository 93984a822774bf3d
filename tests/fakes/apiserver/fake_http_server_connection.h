#pragma once

#include "tests/fakes/apiserver/fake_http_server.h"

// Boost.Asio's headers need it with g++ 12.
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core/flat_buffer.hpp>

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace farlet::testing {

// One accepted connection; the plain and the TLS case behind the same calls. Private to the fake.
class FakeConnection {
 public:
  FakeConnection(boost::asio::ip::tcp::socket socket,
                 std::shared_ptr<boost::asio::ssl::context> tls,
                 int number);

  bool Handshake();
  // The next request, or nothing when the connection ended.
  std::optional<FakeRequest> ReadRequest();
  bool Write(std::string_view bytes);
  bool WaitReadable(std::chrono::milliseconds timeout) const;
  // Ends reads and writes, from any thread; the descriptor lives until the destructor.
  void Shutdown(bool reset);

  bool ended() const { return ended_; }

 private:
  void FillPeer(FakeRequest& request);

  boost::asio::ip::tcp::socket socket_;
  std::shared_ptr<boost::asio::ssl::context> context_;
  std::optional<boost::asio::ssl::stream<boost::asio::ip::tcp::socket&>> tls_;
  const int number_;
  boost::beast::flat_buffer buffer_;
  std::atomic<bool> ended_{false};
  std::mutex write_mutex_;  // guards the write side of socket_ and tls_
};

}  // namespace farlet::testing
