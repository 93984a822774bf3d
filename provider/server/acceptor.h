#pragma once

#include "provider/server/connection.h"
#include "runtime/base/result.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

// Internal.
namespace farlet::server {

// Takes connections on one address. I/O thread but for Open().
class Acceptor final : public Session, public std::enable_shared_from_this<Acceptor> {
 public:
  // Asked for the TLS context of each new connection; null: plain.
  using ContextSource = std::function<ClientStream::TlsContext()>;

  Acceptor(std::shared_ptr<IoCore> core,
           std::shared_ptr<HttpService> service,
           RequestHandlerPtr handler,
           ContextSource context_source);

  // Binds. Any thread, before Start(). Errors: kUnavailable, kInvalidArgument.
  Status Open(const std::string& address, uint16_t port);

  uint16_t port() const { return port_; }

  void Start();
  void Close() override;

 private:
  void Accept();
  void OnAccept(const ErrorCode& error, tcp::socket socket);

  const std::shared_ptr<IoCore> core_;
  const std::shared_ptr<HttpService> service_;
  const RequestHandlerPtr handler_;
  const ContextSource context_source_;
  tcp::acceptor acceptor_;
  asio::steady_timer pause_;
  uint16_t port_ = 0;
  bool full_ = false;
  bool closed_ = false;
};

}  // namespace farlet::server
