#include "tests/fakes/apiserver/fake_http_server.h"

#include "tests/fakes/apiserver/fake_http_server_connection.h"

#include <fmt/format.h>

#include <sys/socket.h>

#include <condition_variable>
#include <set>
#include <thread>

namespace farlet::testing {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

std::shared_ptr<asio::ssl::context> MakeContext(const FakeTlsOptions& tls) {
  auto context = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_server);
  context->use_certificate_chain(asio::buffer(tls.certificate_pem));
  context->use_private_key(asio::buffer(tls.key_pem), asio::ssl::context::pem);
  if (!tls.client_ca_pem.empty()) {
    context->add_certificate_authority(asio::buffer(tls.client_ca_pem));
    auto mode = asio::ssl::verify_peer;
    if (tls.require_client_certificate) {
      mode |= asio::ssl::verify_fail_if_no_peer_cert;
    }
    context->set_verify_mode(mode);
  }
  return context;
}

std::string Head(int status, std::string_view content_type, const FakeExchange::Headers& headers) {
  std::string head =
      fmt::format("HTTP/1.1 {} Status\r\nContent-Type: {}\r\n", status, content_type);
  for (const auto& [name, value] : headers) {
    head += fmt::format("{}: {}\r\n", name, value);
  }
  return head;
}

class Exchange final : public FakeExchange {
 public:
  Exchange(FakeConnection& connection, FakeRequest request)
      : connection_(connection), request_(std::move(request)) {}

  const FakeRequest& request() const override { return request_; }

  void Respond(int status,
               std::string_view body,
               std::string_view content_type,
               const Headers& headers) override {
    answered_ = true;
    std::string answer = Head(status, content_type, headers);
    if (status >= 200 && status != 204) {
      answer += fmt::format("Content-Length: {}\r\n", body.size());
    }
    connection_.Write(answer + "\r\n" + std::string(body));
  }

  bool StartStream(int status, std::string_view content_type, const Headers& headers) override {
    answered_ = true;
    keep_alive_ = false;
    return connection_.Write(Head(status, content_type, headers) +
                             "Transfer-Encoding: chunked\r\n\r\n");
  }

  bool WriteChunk(std::string_view data) override {
    return data.empty() || connection_.Write(fmt::format("{:x}\r\n{}\r\n", data.size(), data));
  }

  bool EndStream() override {
    keep_alive_ = true;
    return connection_.Write("0\r\n\r\n");
  }

  bool WriteRaw(std::string_view bytes) override {
    answered_ = true;
    keep_alive_ = false;
    return connection_.Write(bytes);
  }

  void Drop(bool reset) override {
    answered_ = true;
    keep_alive_ = false;
    connection_.Shutdown(reset);
  }

  bool WaitClosed(std::chrono::milliseconds timeout) override {
    return connection_.WaitReadable(timeout);
  }

  bool answered() const { return answered_; }

  bool keep_alive() const { return keep_alive_ && !connection_.ended(); }

 private:
  FakeConnection& connection_;
  const FakeRequest request_;
  std::atomic<bool> answered_{false};
  std::atomic<bool> keep_alive_{true};
};

}  // namespace

class FakeHttpServer::Impl {
 public:
  Impl(Handler handler, std::optional<FakeTlsOptions> tls, int port)
      : handler_(std::move(handler)),
        context_(tls ? MakeContext(*tls) : nullptr),
        acceptor_(
            io_,
            tcp::endpoint(asio::ip::address_v4::loopback(), static_cast<unsigned short>(port))),
        port_(acceptor_.local_endpoint().port()),
        thread_([this] { Accept(); }) {}

  ~Impl() { Stop(); }

  void Stop() {
    {
      std::unique_lock lock(mutex_);
      if (stopping_) {
        return;
      }
      stopping_ = true;
      frozen_ = false;
      changed_.notify_all();
    }
    ::shutdown(acceptor_.native_handle(), SHUT_RDWR);
    thread_.join();
    std::unique_lock lock(mutex_);
    error_code ignored;
    acceptor_.close(ignored);
    for (FakeConnection* connection : connections_) {
      connection->Shutdown(false);
    }
    changed_.wait(lock, [this] { return threads_ == 0; });
  }

  void DropConnections(bool reset) {
    const std::lock_guard lock(mutex_);
    for (FakeConnection* connection : connections_) {
      connection->Shutdown(reset);
    }
  }

  void SetFrozen(bool frozen) {
    const std::lock_guard lock(mutex_);
    frozen_ = frozen;
    changed_.notify_all();
  }

  struct Counters {
    int accepted = 0;
    int failed_handshakes = 0;
    int requests = 0;
    int open = 0;
  };

  Counters counters() const {
    const std::lock_guard lock(mutex_);
    Counters counters = counters_;
    counters.open = static_cast<int>(connections_.size());
    return counters;
  }

  int port() const { return port_; }

  bool tls() const { return context_ != nullptr; }

 private:
  void Accept() {
    while (true) {
      error_code error;
      tcp::socket socket(io_);
      acceptor_.accept(socket, error);
      const std::lock_guard lock(mutex_);
      if (stopping_) {
        return;
      }
      if (error) {
        continue;
      }
      auto connection =
          std::make_shared<FakeConnection>(std::move(socket), context_, ++counters_.accepted);
      connections_.insert(connection.get());
      ++threads_;
      std::thread([this, connection = std::move(connection)]() mutable {
        Serve(*connection);
        const std::lock_guard end_lock(mutex_);
        connections_.erase(connection.get());
        // Its socket must not outlive io_, which may go as soon as threads_ says so.
        connection.reset();
        --threads_;
        changed_.notify_all();
      }).detach();
    }
  }

  void Serve(FakeConnection& connection) {
    WaitThawed();
    if (!connection.Handshake()) {
      const std::lock_guard lock(mutex_);
      ++counters_.failed_handshakes;
      return;
    }
    while (auto request = connection.ReadRequest()) {
      WaitThawed();
      {
        const std::lock_guard lock(mutex_);
        ++counters_.requests;
      }
      Exchange exchange(connection, std::move(*request));
      handler_(exchange);
      if (!exchange.answered()) {
        exchange.Respond(500, "the handler gave no answer", "text/plain", {});
      }
      if (!exchange.keep_alive()) {
        return;
      }
    }
  }

  void WaitThawed() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !frozen_; });
  }

  const Handler handler_;
  const std::shared_ptr<asio::ssl::context> context_;
  asio::io_context io_;
  tcp::acceptor acceptor_;
  const int port_;
  mutable std::mutex mutex_;  // guards all below but thread_
  std::condition_variable changed_;
  bool stopping_ = false;
  bool frozen_ = false;
  int threads_ = 0;
  Counters counters_;
  std::set<FakeConnection*> connections_;
  std::thread thread_;
};

FakeHttpServer::FakeHttpServer(Handler handler, std::optional<FakeTlsOptions> tls, int port)
    : impl_(std::make_unique<Impl>(std::move(handler), std::move(tls), port)) {}

FakeHttpServer::~FakeHttpServer() = default;

void FakeHttpServer::Stop() {
  impl_->Stop();
}

int FakeHttpServer::port() const {
  return impl_->port();
}

std::string FakeHttpServer::url() const {
  return fmt::format("{}://127.0.0.1:{}", impl_->tls() ? "https" : "http", port());
}

void FakeHttpServer::DropConnections(bool reset) {
  impl_->DropConnections(reset);
}

void FakeHttpServer::Freeze() {
  impl_->SetFrozen(true);
}

void FakeHttpServer::Resume() {
  impl_->SetFrozen(false);
}

int FakeHttpServer::accepted_connections() const {
  return impl_->counters().accepted;
}

int FakeHttpServer::open_connections() const {
  return impl_->counters().open;
}

int FakeHttpServer::failed_handshakes() const {
  return impl_->counters().failed_handshakes;
}

int FakeHttpServer::requests() const {
  return impl_->counters().requests;
}

}  // namespace farlet::testing
