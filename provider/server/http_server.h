#pragma once

#include "provider/server/exchange.h"
#include "runtime/base/result.h"

#include <openssl/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace farlet::server {

struct ServerTimeouts {
  std::chrono::milliseconds handshake{10'000};
  // From the first byte of a request to the end of its headers.
  std::chrono::milliseconds header{30'000};
  // Between two requests.
  std::chrono::milliseconds idle{90'000};
  // For a whole answer to be taken by the client.
  std::chrono::milliseconds write{60'000};
  // Without progress of an exec, attach or port-forward session or of a log stream
  // (streamingConnectionIdleTimeout).
  std::chrono::milliseconds stream_idle{std::chrono::hours(4)};
  // To reach CRI's streaming server and hear its answer.
  std::chrono::milliseconds upstream{30'000};
};

struct HttpOptions {
  size_t max_connections = 2048;
  size_t max_header_bytes = 64 * 1024;
  size_t max_body_bytes = 64 * 1024;
  // Where CRI's streaming server may be besides loopback, an IP address; empty: nowhere.
  std::string streaming_host;
  ServerTimeouts timeouts;
};

// What a request shows about who sent it; for the duration of the handler's call.
struct Peer {
  SSL* tls = nullptr;  // null: a plain connection
  std::string_view authorization;
};

// Called on the server's I/O thread, which it must not block; the answer may come later.
using RequestHandler = std::function<void(const ExchangePtr& exchange, const Peer& peer)>;

// An HTTP/1.1 server with TLS on one I/O thread of its own. Methods are thread safe.
class HttpServer {
 public:
  explicit HttpServer(HttpOptions options);
  // Stop().
  ~HttpServer();

  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // Closes every connection and waits for the I/O thread; no handler runs afterwards. Not from a
  // handler. Idempotent.
  void Stop();

  // New connections use the new pair (leaf first, then intermediates). Error: kInvalidArgument when
  // it does not parse or the key does not belong to it; the old one stays.
  Status SetCertificate(const std::string& certificate_pem, const std::string& key_pem);

  // Each opens one more port and returns it; port 0: any free one. Errors: kUnavailable when the
  // address is taken or not there (yet), kInvalidArgument when it is malformed,
  // kFailedPrecondition for TLS before the first certificate.
  Result<uint16_t> Listen(const std::string& address, uint16_t port, RequestHandler handler);
  Result<uint16_t> ListenPlain(const std::string& address, uint16_t port, RequestHandler handler);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace farlet::server
