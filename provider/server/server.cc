#include "provider/server/server.h"

#include "provider/server/acceptor.h"
#include "provider/server/tls_context.h"

#include <mutex>
#include <thread>
#include <utility>

namespace farlet::server {

class Server::Impl {
 public:
  Impl(ServerOptions options,
       Handlers handlers,
       TokenReview token_review,
       SubjectAccessReview access_review,
       const Clock& clock)
      : core_(std::make_shared<IoCore>()),
        service_(new Service{
            options,
            RouteContext{std::move(handlers), clock},
            Authenticator(options.authentication, std::move(token_review), clock),
            Authorizer(options.authorization, std::move(access_review), clock),
            ClientCa(options.client_ca_file, clock),
        }),
        thread_([core = core_] { core->Run(); }) {}

  ~Impl() {
    core_->Stop();
    thread_.join();
  }

  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  Status SetCertificate(const std::string& certificate_pem, const std::string& key_pem) {
    FARLET_ASSIGN(auto context, MakeTlsContext(certificate_pem, key_pem));
    const std::lock_guard lock(*mutex_);
    *tls_ = std::move(context);
    return {};
  }

  Status Listen() {
    const std::lock_guard lock(listen_mutex_);
    if (port_ != 0) {
      return MakeError(Code::kFailedPrecondition, "listen: already listening");
    }
    if (!Context()) {
      return MakeError(Code::kFailedPrecondition, "listen: no serving certificate yet");
    }
    // The connection source outlives this object on the I/O thread.
    FARLET_ASSIGN(port_, Open(service_->options.address, service_->options.port,
                              [mutex = mutex_, tls = tls_] {
                                const std::lock_guard held(*mutex);
                                return *tls;
                              }));
    return {};
  }

  Status ListenHealthz() {
    const std::lock_guard lock(listen_mutex_);
    if (healthz_port_ != 0) {
      return MakeError(Code::kFailedPrecondition, "listen: already listening");
    }
    FARLET_ASSIGN(healthz_port_,
                  Open(service_->options.healthz_address, service_->options.healthz_port,
                       [] { return ClientStream::TlsContext(); }));
    return {};
  }

  uint16_t port() const {
    const std::lock_guard lock(listen_mutex_);
    return port_;
  }

  uint16_t healthz_port() const {
    const std::lock_guard lock(listen_mutex_);
    return healthz_port_;
  }

 private:
  ClientStream::TlsContext Context() const {
    const std::lock_guard lock(*mutex_);
    return *tls_;
  }

  Result<uint16_t> Open(const std::string& address, uint16_t port, Acceptor::ContextSource source) {
    auto acceptor = std::make_shared<Acceptor>(core_, service_, std::move(source));
    FARLET_TRY(acceptor->Open(address, port));
    core_->Post([acceptor] { acceptor->Start(); });
    return acceptor->port();
  }

  const std::shared_ptr<IoCore> core_;
  const std::shared_ptr<Service> service_;
  const std::shared_ptr<std::mutex> mutex_ = std::make_shared<std::mutex>();  // guards *tls_
  const std::shared_ptr<ClientStream::TlsContext> tls_ =
      std::make_shared<ClientStream::TlsContext>();
  mutable std::mutex listen_mutex_;  // guards the ports
  uint16_t port_ = 0;
  uint16_t healthz_port_ = 0;
  std::thread thread_;
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
