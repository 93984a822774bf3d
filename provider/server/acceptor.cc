#include "provider/server/acceptor.h"

#include "runtime/base/log.h"

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <fmt/format.h>

#include <netinet/tcp.h>

#include <utility>

namespace farlet::server {
namespace {

// After an error that only time can cure (no file descriptors left).
constexpr std::chrono::milliseconds kPause{100};

void SetKeepAlive(tcp::socket& socket) {
  using KeepIdle = asio::detail::socket_option::integer<IPPROTO_TCP, TCP_KEEPIDLE>;
  using KeepInterval = asio::detail::socket_option::integer<IPPROTO_TCP, TCP_KEEPINTVL>;
  using KeepCount = asio::detail::socket_option::integer<IPPROTO_TCP, TCP_KEEPCNT>;
  ErrorCode ignored;
  socket.set_option(tcp::no_delay(true), ignored);
  socket.set_option(tcp::socket::keep_alive(true), ignored);
  socket.set_option(KeepIdle(30), ignored);
  socket.set_option(KeepInterval(15), ignored);
  socket.set_option(KeepCount(5), ignored);
}

}  // namespace

Acceptor::Acceptor(std::shared_ptr<IoCore> core,
                   std::shared_ptr<HttpService> service,
                   RequestHandlerPtr handler,
                   ContextSource context_source)
    : core_(std::move(core)),
      service_(std::move(service)),
      handler_(std::move(handler)),
      context_source_(std::move(context_source)),
      acceptor_(core_->context()),
      pause_(core_->context()) {}

Status Acceptor::Open(const std::string& address, uint16_t port) {
  ErrorCode error;
  const auto parsed = asio::ip::make_address(address, error);
  if (error) {
    return InvalidArgument(fmt::format("listen on \"{}\": not an IP address", address));
  }
  const tcp::endpoint endpoint(parsed, port);
  acceptor_.open(endpoint.protocol(), error);
  if (!error) {
    acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
  }
  if (!error && parsed.is_v6()) {
    acceptor_.set_option(asio::ip::v6_only(!parsed.is_unspecified()), error);
  }
  if (!error) {
    acceptor_.bind(endpoint, error);
  }
  if (!error) {
    acceptor_.listen(tcp::acceptor::max_listen_connections, error);
  }
  if (error) {
    return Unavailable(fmt::format("listen on {}:{}: {}", address, port, error.message()));
  }
  port_ = acceptor_.local_endpoint(error).port();
  return {};
}

void Acceptor::Start() {
  core_->Add(this);
  Accept();
}

void Acceptor::Close() {
  closed_ = true;
  core_->Remove(this);
  pause_.cancel();
  ErrorCode ignored;
  acceptor_.close(ignored);
}

void Acceptor::Accept() {
  if (closed_) {
    return;
  }
  acceptor_.async_accept([self = shared_from_this()](ErrorCode error, tcp::socket socket) {
    self->OnAccept(error, std::move(socket));
  });
}

void Acceptor::OnAccept(const ErrorCode& error, tcp::socket socket) {
  if (closed_) {
    return;
  }
  if (error) {
    log::Warning("accept failed", {{"port", port_}, {"error", error.message()}});
    pause_.expires_after(kPause);
    pause_.async_wait([self = shared_from_this()](ErrorCode) { self->Accept(); });
    return;
  }
  const bool full = service_->connections >= service_->options.max_connections;
  if (full && !full_) {
    log::Warning("too many connections, closing new ones",
                 {{"limit", service_->options.max_connections}});
  }
  full_ = full;
  if (!full) {
    SetKeepAlive(socket);
    auto stream = std::make_shared<ClientStream>(std::move(socket), context_source_());
    std::make_shared<Connection>(core_, service_, handler_, std::move(stream))->Start();
  }
  Accept();
}

}  // namespace farlet::server
