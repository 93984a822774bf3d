#include "provider/server/http_server.h"

#include "provider/server/acceptor.h"
#include "provider/server/tls_context.h"

#include <mutex>
#include <thread>
#include <utility>

namespace farlet::server {

class HttpServer::Impl {
 public:
  explicit Impl(HttpOptions options)
      : core_(std::make_shared<IoCore>()),
        service_(std::make_shared<HttpService>(std::move(options))),
        thread_([core = core_] { core->Run(); }) {}

  ~Impl() { Stop(); }

  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void Stop() {
    core_->Stop();
    if (thread_.joinable()) {
      thread_.join();
    }
  }

  Status SetCertificate(const std::string& certificate_pem, const std::string& key_pem) {
    FARLET_ASSIGN(auto context, MakeTlsContext(certificate_pem, key_pem));
    const std::lock_guard lock(*mutex_);
    *tls_ = std::move(context);
    return {};
  }

  Result<uint16_t> Listen(const std::string& address, uint16_t port, RequestHandler handler) {
    // The connection source outlives this object on the I/O thread.
    const auto context = [mutex = mutex_, tls = tls_] {
      const std::lock_guard lock(*mutex);
      return *tls;
    };
    if (!context()) {
      return MakeError(Code::kFailedPrecondition, "listen: no serving certificate yet");
    }
    return Open(address, port, context, std::move(handler));
  }

  Result<uint16_t> ListenPlain(const std::string& address, uint16_t port, RequestHandler handler) {
    return Open(
        address, port, [] { return ClientStream::TlsContext(); }, std::move(handler));
  }

 private:
  Result<uint16_t> Open(const std::string& address,
                        uint16_t port,
                        Acceptor::ContextSource source,
                        RequestHandler handler) {
    auto acceptor = std::make_shared<Acceptor>(
        core_, service_, std::make_shared<const RequestHandler>(std::move(handler)),
        std::move(source));
    FARLET_TRY(acceptor->Open(address, port));
    core_->Post([acceptor] { acceptor->Start(); });
    return acceptor->port();
  }

  const std::shared_ptr<IoCore> core_;
  const std::shared_ptr<HttpService> service_;
  const std::shared_ptr<std::mutex> mutex_ = std::make_shared<std::mutex>();  // guards *tls_
  const std::shared_ptr<ClientStream::TlsContext> tls_ =
      std::make_shared<ClientStream::TlsContext>();
  std::thread thread_;
};

HttpServer::HttpServer(HttpOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}

HttpServer::~HttpServer() = default;

void HttpServer::Stop() {
  impl_->Stop();
}

Status HttpServer::SetCertificate(const std::string& certificate_pem, const std::string& key_pem) {
  return impl_->SetCertificate(certificate_pem, key_pem);
}

Result<uint16_t> HttpServer::Listen(const std::string& address,
                                    uint16_t port,
                                    RequestHandler handler) {
  return impl_->Listen(address, port, std::move(handler));
}

Result<uint16_t> HttpServer::ListenPlain(const std::string& address,
                                         uint16_t port,
                                         RequestHandler handler) {
  return impl_->ListenPlain(address, port, std::move(handler));
}

}  // namespace farlet::server
