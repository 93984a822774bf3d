#pragma once

#include "provider/server/authentication.h"
#include "provider/server/authorization.h"
#include "provider/server/handlers.h"
#include "provider/server/http_server.h"
#include "runtime/base/clock.h"
#include "runtime/base/result.h"

#include <cstdint>
#include <memory>
#include <string>

namespace farlet::server {

struct ServerOptions {
  std::string address = "0.0.0.0";
  uint16_t port = 10250;  // 0: any free one
  std::string healthz_address = "127.0.0.1";
  uint16_t healthz_port = 10248;  // 0: any free one
  // PEM bundle that vouches for client certificates; empty: none are accepted. Read again when it
  // changes.
  std::string client_ca_file;
  // Where CRI's streaming server may be besides loopback, an IP address; empty: nowhere.
  std::string streaming_host;
  size_t max_connections = 2048;
  size_t max_header_bytes = 64 * 1024;
  size_t max_body_bytes = 64 * 1024;
  ServerTimeouts timeouts;
  AuthenticationOptions authentication;
  AuthorizationOptions authorization;
};

// The kubelet's HTTPS API. One I/O thread of its own serves everything; nothing may block it.
// Methods are thread safe.
//
//   Server server(options, handlers, token_review, access_review, clock);
//   server.SetCertificate(cert_pem, key_pem);   // again whenever it is rotated
//   server.Listen();                            // again, with back-off, while the port is taken
//   server.ListenHealthz();
class Server {
 public:
  // `clock` must outlive the server and the callbacks of the reviews. Null reviews refuse.
  Server(ServerOptions options,
         Handlers handlers,
         TokenReview token_review,
         SubjectAccessReview access_review,
         const Clock& clock);
  // Closes every connection and waits for the I/O thread. Not from one of the handlers.
  ~Server();

  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // New connections use the new pair (leaf first, then intermediates). Error: kInvalidArgument when
  // it does not parse or the key does not belong to it; the old one stays.
  Status SetCertificate(const std::string& certificate_pem, const std::string& key_pem);

  // Errors: kUnavailable when the address is taken or not there (yet), kInvalidArgument when it is
  // malformed, kFailedPrecondition before the first certificate or when already listening.
  Status Listen();
  // Plain HTTP, /healthz only, without authentication.
  Status ListenHealthz();

  // The bound ports; 0 before.
  uint16_t port() const;
  uint16_t healthz_port() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace farlet::server
