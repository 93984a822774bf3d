#include "provider/server/server.h"

#include "provider/server/client_ca.h"
#include "provider/server/http_server.h"
#include "provider/server/routes.h"
#include "runtime/base/log.h"

#include <mutex>
#include <utility>

namespace farlet::server {
namespace {

// What all requests share; used on the I/O thread only. Callbacks of the reviews may outlive the
// server.
struct Service {
  RouteContext routes;
  Authenticator authenticator;
  Authorizer authorizer;
  ClientCa client_ca;
};

using ServicePtr = std::shared_ptr<Service>;

void Authorize(const ServicePtr& service, const ExchangePtr& exchange, const User& user) {
  const Request& request = exchange->request();
  service->authorizer.Authorize(
      user, request.method, request.path,
      [exchange, service, name = user.name](const AuthorizationVerdict& verdict) {
        log::Debug("request", {{"method", exchange->request().method},
                               {"path", exchange->request().path},
                               {"user", name},
                               {"allowed", verdict.allowed ? "yes" : "no"}});
        if (!verdict.allowed) {
          exchange->Reply({.status = verdict.status, .body = verdict.message});
          return;
        }
        exchange->Post([exchange, service] { Dispatch(service->routes, exchange); });
      });
}

// Authentication, authorization, route.
void Admit(const ServicePtr& service, const ExchangePtr& exchange, const Peer& peer) {
  const Credentials credentials{service->client_ca.Identify(peer.tls),
                                std::string(peer.authorization)};
  service->authenticator.Authenticate(credentials, [exchange, service](std::optional<User> user) {
    if (!user) {
      exchange->Reply({.status = 401, .body = "Unauthorized"});
      return;
    }
    Authorize(service, exchange, *user);
  });
}

HttpOptions HttpOptionsOf(const ServerOptions& options) {
  return {.max_connections = options.max_connections,
          .max_header_bytes = options.max_header_bytes,
          .max_body_bytes = options.max_body_bytes,
          .streaming_host = options.streaming_host,
          .timeouts = options.timeouts};
}

}  // namespace

class Server::Impl {
 public:
  Impl(ServerOptions options,
       Handlers handlers,
       TokenReview token_review,
       SubjectAccessReview access_review,
       const Clock& clock)
      : options_(std::move(options)),
        service_(new Service{
            RouteContext{std::move(handlers), clock},
            Authenticator(options_.authentication, std::move(token_review), clock),
            Authorizer(options_.authorization, std::move(access_review), clock),
            ClientCa(options_.client_ca_file, clock),
        }),
        http_(HttpOptionsOf(options_)) {}

  Status SetCertificate(const std::string& certificate_pem, const std::string& key_pem) {
    return http_.SetCertificate(certificate_pem, key_pem);
  }

  Status Listen() {
    const std::lock_guard lock(mutex_);
    if (port_ != 0) {
      return MakeError(Code::kFailedPrecondition, "listen: already listening");
    }
    FARLET_ASSIGN(port_,
                  http_.Listen(options_.address, options_.port,
                               [service = service_](const ExchangePtr& exchange, const Peer& peer) {
                                 Admit(service, exchange, peer);
                               }));
    return {};
  }

  Status ListenHealthz() {
    const std::lock_guard lock(mutex_);
    if (healthz_port_ != 0) {
      return MakeError(Code::kFailedPrecondition, "listen: already listening");
    }
    FARLET_ASSIGN(healthz_port_, http_.ListenPlain(options_.healthz_address, options_.healthz_port,
                                                   [service = service_](const ExchangePtr& exchange,
                                                                        const Peer& /*peer*/) {
                                                     DispatchHealth(service->routes, exchange);
                                                   }));
    return {};
  }

  uint16_t port() const {
    const std::lock_guard lock(mutex_);
    return port_;
  }

  uint16_t healthz_port() const {
    const std::lock_guard lock(mutex_);
    return healthz_port_;
  }

 private:
  const ServerOptions options_;
  const ServicePtr service_;
  mutable std::mutex mutex_;  // guards the ports
  uint16_t port_ = 0;
  uint16_t healthz_port_ = 0;
  HttpServer http_;  // last: its thread uses the rest
};

Server::Server(ServerOptions options,
               Handlers handlers,
               TokenReview token_review,
               SubjectAccessReview access_review,
               const Clock& clock)
    : impl_(std::make_unique<Impl>(std::move(options),
                                   std::move(handlers),
                                   std::move(token_review),
                                   std::move(access_review),
                                   clock)) {}

Server::~Server() = default;

Status Server::SetCertificate(const std::string& certificate_pem, const std::string& key_pem) {
  return impl_->SetCertificate(certificate_pem, key_pem);
}

Status Server::Listen() {
  return impl_->Listen();
}

Status Server::ListenHealthz() {
  return impl_->ListenHealthz();
}

uint16_t Server::port() const {
  return impl_->port();
}

uint16_t Server::healthz_port() const {
  return impl_->healthz_port();
}

}  // namespace farlet::server
