// The only file that includes cpprestsdk (2.10.18, archived upstream). What its source
// (http_client_asio.cpp) taught, and what this file does about it:
//  - it closes sockets from timer and cancel callbacks while other threads may be using them, so
//    its pool gets exactly one thread, and everything here runs on it;
//  - its timeout is per operation and per client, so it is set out of reach and ours are used;
//  - it verifies with the Host header's name and trusts the system's roots: TlsContext replaces
//    that, and SNI, for each connection;
//  - it repeats a request whose kept connection gave EOF instead of an answer, but not one whose
//    connection broke while writing: that is repeated here;
//  - a body can arrive before the continuation that tells of the headers: it is held back;
//  - the continuation of a cancelled request may come late (it cannot interrupt getaddrinfo): our
//    caller is told at once and the rest ends by itself.
#include "kube/http/cpprest_error.h"
#include "kube/http/tls_context.h"
#include "kube/http/transport.h"
#include "runtime/base/time_format.h"

#include <boost/asio/steady_timer.hpp>
#include <cpprest/astreambuf.h>
#include <cpprest/http_client.h>
#include <openssl/ssl.h>

#include <fcntl.h>
#include <netinet/tcp.h>
#include <pplx/threadpool.h>
#include <sys/socket.h>

#include <future>
#include <mutex>
#include <unordered_set>

namespace farlet::kube::http {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using web::http::http_request;
using web::http::http_response;
using web::http::client::http_client;
using web::http::client::http_client_config;

// First called before any http_client is made, which would start a pool of 40 threads.
asio::io_service& Io() {
  static asio::io_service& io = []() -> asio::io_service& {
    // Before the pool, so that at exit OpenSSL is cleaned up after the pool's thread has ended.
    OPENSSL_init_ssl(0, nullptr);
    crossplat::threadpool::initialize_with_threads(1);
    return crossplat::threadpool::shared_instance().service();
  }();
  return io;
}

bool OnIoThread() {
  return Io().get_executor().running_in_this_thread();
}

// --- Connections ---------------------------------------------------------------------------------

int SocketIndex() {
  static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

// A peer that vanished is noticed within about a minute, also while we wait for an answer; programs
// that we start do not inherit the connection.
void PrepareSocket(SSL* ssl) {
  auto* socket = static_cast<tcp::socket::lowest_layer_type*>(SSL_get_ex_data(ssl, SocketIndex()));
  if (socket == nullptr || !socket->is_open()) {
    return;
  }
  const auto set = [fd = socket->native_handle()](int level, int name, int value) {
    ::setsockopt(fd, level, name, &value, sizeof(value));
  };
  ::fcntl(socket->native_handle(), F_SETFD, FD_CLOEXEC);
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, 30);
  set(IPPROTO_TCP, TCP_KEEPINTVL, 10);
  set(IPPROTO_TCP, TCP_KEEPCNT, 3);
  set(IPPROTO_TCP, TCP_USER_TIMEOUT, 60'000);
}

// Whether the request that is being made opened a connection of its own. Only the I/O thread.
bool opened_connection = false;

class Server {
 public:
  Server(web::uri uri, std::shared_ptr<TlsContext> tls)
      : uri_(std::move(uri)), tls_(std::move(tls)), client_(MakeClient()) {}

  std::shared_ptr<http_client> client() const {
    const std::lock_guard lock(mutex_);
    return client_;
  }

  std::shared_ptr<TlsContext> tls() const {
    const std::lock_guard lock(mutex_);
    return tls_;
  }

  const web::uri& uri() const { return uri_; }

  void SetTls(std::shared_ptr<TlsContext> tls) {
    const std::lock_guard lock(mutex_);
    tls_ = std::move(tls);
    client_ = MakeClient();
  }

  // Forgets the kept connections if `used` is still the client that has them.
  void ForgetConnections(const std::shared_ptr<http_client>& used) {
    const std::lock_guard lock(mutex_);
    if (client_ == used) {
      client_ = MakeClient();
    }
  }

 private:
  // Needs mutex_ but in the constructor.
  std::shared_ptr<http_client> MakeClient() const {
    http_client_config config;
    config.set_timeout(std::chrono::hours(24 * 365));
    config.set_max_redirects(0);
    config.set_tlsext_sni_enabled(false);
    config.set_validate_certificates(true);
    const bool https = uri_.scheme() == "https";
    config.set_ssl_context_callback([tls = tls_](asio::ssl::context& context) {
      opened_connection = true;
      if (!tls || !tls->Apply(context.native_handle())) {
        throw web::http::http_exception(tls ? "cannot set up TLS" : "TLS has not been set up yet");
      }
    });
    config.set_nativehandle_options([https](web::http::client::native_handle handle) {
      if (https) {
        auto* stream = static_cast<asio::ssl::stream<tcp::socket&>*>(handle);
        SSL_set_ex_data(stream->native_handle(), SocketIndex(), &stream->lowest_layer());
      }
    });
    return std::make_shared<http_client>(uri_, config);
  }

  const web::uri uri_;
  mutable std::mutex mutex_;  // guards all below
  std::shared_ptr<TlsContext> tls_;
  std::shared_ptr<http_client> client_;
};

// --- One exchange --------------------------------------------------------------------------------

struct Timeouts {
  milliseconds first{0};    // from the start to the headers, or to the end when there is no silence
  milliseconds silence{0};  // after the headers; 0: `first` bounds everything
};

class Operation;

// The operations of one transport; only the I/O thread.
using Operations = std::unordered_set<std::shared_ptr<Operation>>;

// A request on its way. Lives on the I/O thread but for Detach(). Whatever cpprestsdk still holds
// of it after Finish() has no effect.
class Operation : public std::enable_shared_from_this<Operation> {
 public:
  Operation(std::shared_ptr<Server> server,
            std::shared_ptr<Operations> siblings,
            Request request,
            Timeouts timeouts,
            StreamHandlers handlers)
      : server_(std::move(server)),
        siblings_(std::move(siblings)),
        request_(std::move(request)),
        timeouts_(timeouts),
        handlers_(std::move(handlers)),
        timer_(Io()) {}

  void Start();
  void Finish(Status end);
  // From Sink, in order.
  void Receive(std::string_view data);
  // No handler starts after it; waits for one that runs on another thread.
  void Detach();

 private:
  void Attempt();
  http_request BuildRequest();
  void HandleHead(pplx::task<http_response> task);
  void HandleEnd(pplx::task<http_response> task);
  Error Explain(const std::exception_ptr& exception, bool* stale);
  void ArmTimer(SteadyTime at);
  void HandleTimer();

  template <class Call>
  void Deliver(const Call& call) {
    const std::lock_guard lock(handler_mutex_);
    if (!detached_) {
      call();
    }
  }

  const std::shared_ptr<Server> server_;
  const std::shared_ptr<Operations> siblings_;
  Request request_;
  const Timeouts timeouts_;
  const StreamHandlers handlers_;
  asio::steady_timer timer_;
  pplx::cancellation_token_source cancel_;
  std::shared_ptr<http_client> client_;
  bool repeated_ = false;
  bool on_new_connection_ = false;
  bool head_delivered_ = false;
  bool finished_ = false;
  std::string held_back_;  // what came before the head was told
  SteadyTime last_heard_;
  // Recursive: a handler may destroy its own stream.
  std::recursive_mutex handler_mutex_;  // guards detached_; held while a handler runs
  bool detached_ = false;
};

// Where cpprestsdk writes a body: hands each piece on as it arrives and keeps nothing.
class Sink final : public Concurrency::streams::details::streambuf_state_manager<uint8_t> {
 public:
  explicit Sink(std::shared_ptr<Operation> operation)
      : streambuf_state_manager(std::ios_base::out), operation_(std::move(operation)) {}

  bool can_seek() const override { return false; }

  bool has_size() const override { return false; }

  size_t buffer_size(std::ios_base::openmode) const override { return 0; }

  void set_buffer_size(size_t, std::ios_base::openmode) override {}

  size_t in_avail() const override { return 0; }

  pos_type getpos(std::ios_base::openmode) const override { return pos_type(-1); }

  pos_type seekpos(pos_type, std::ios_base::openmode) override { return pos_type(-1); }

  pos_type seekoff(off_type, std::ios_base::seekdir, std::ios_base::openmode) override {
    return pos_type(-1);
  }

  bool acquire(uint8_t*&, size_t&) override { return false; }

  void release(uint8_t*, size_t) override {}

 protected:
  pplx::task<int_type> _putc(uint8_t byte) override {
    operation_->Receive({reinterpret_cast<const char*>(&byte), 1});
    return pplx::task_from_result<int_type>(byte);
  }

  pplx::task<size_t> _putn(const uint8_t* data, size_t size) override {
    operation_->Receive({reinterpret_cast<const char*>(data), size});
    return pplx::task_from_result<size_t>(size);
  }

  pplx::task<int_type> _bumpc() override { return NoRead(); }

  int_type _sbumpc() override { return traits::eof(); }

  pplx::task<int_type> _getc() override { return NoRead(); }

  int_type _sgetc() override { return traits::eof(); }

  pplx::task<int_type> _nextc() override { return NoRead(); }

  pplx::task<int_type> _ungetc() override { return NoRead(); }

  pplx::task<size_t> _getn(uint8_t*, size_t) override { return pplx::task_from_result<size_t>(0); }

  size_t _scopy(uint8_t*, size_t) override { return 0; }

  pplx::task<bool> _sync() override { return pplx::task_from_result(true); }

  uint8_t* _alloc(size_t) override { return nullptr; }

  void _commit(size_t) override {}

 private:
  static pplx::task<int_type> NoRead() { return pplx::task_from_result<int_type>(traits::eof()); }

  const std::shared_ptr<Operation> operation_;
};

void Operation::Start() {
  siblings_->insert(shared_from_this());
  ArmTimer(std::chrono::steady_clock::now() + timeouts_.first);
  Attempt();
}

http_request Operation::BuildRequest() {
  http_request request(request_.method);
  request.set_request_uri(web::uri(request_.target));
  if (!request_.body.empty()) {
    request.set_body(request_.body, std::string(FindHeader(request_.headers, "Content-Type")));
  }
  for (const auto& [name, value] : request_.headers) {
    request.headers()[name] = value;
  }
  request.set_response_stream(Concurrency::streams::ostream(
      Concurrency::streams::streambuf<uint8_t>(std::make_shared<Sink>(shared_from_this()))));
  return request;
}

void Operation::Attempt() {
  try {
    client_ = server_->client();
    opened_connection = false;
    auto task = client_->request(BuildRequest(), cancel_.get_token());
    on_new_connection_ = opened_connection;
    task.then([self = shared_from_this()](pplx::task<http_response> head) {
      self->HandleHead(std::move(head));
    });
  } catch (const web::uri_exception& malformed) {
    Finish(InvalidArgument(std::string("malformed request: ") + malformed.what()));
  }
}

void Operation::HandleHead(pplx::task<http_response> task) {
  Response head;
  try {
    const http_response response = task.get();
    head.status = response.status_code();
    for (const auto& [name, value] : response.headers()) {
      head.headers.emplace_back(name, value);
    }
    response.content_ready().then([self = shared_from_this()](pplx::task<http_response> body) {
      self->HandleEnd(std::move(body));
    });
  } catch (...) {
    bool stale = false;
    Error error = Explain(std::current_exception(), &stale);
    if (stale && !repeated_ && !on_new_connection_ && !finished_) {
      repeated_ = true;
      server_->ForgetConnections(client_);
      Attempt();
      return;
    }
    Finish(std::move(error));
    return;
  }
  if (finished_) {
    return;
  }
  head_delivered_ = true;
  last_heard_ = std::chrono::steady_clock::now();
  if (timeouts_.silence.count() > 0) {
    ArmTimer(last_heard_ + timeouts_.silence);
  }
  Deliver([&] { handlers_.on_head(head); });
  if (!held_back_.empty()) {
    Receive(std::exchange(held_back_, {}));
  }
}

void Operation::HandleEnd(pplx::task<http_response> task) {
  try {
    task.get();
    Finish({});
  } catch (...) {
    bool stale = false;
    Finish(Explain(std::current_exception(), &stale));
  }
}

Error Operation::Explain(const std::exception_ptr& exception, bool* stale) {
  try {
    std::rethrow_exception(exception);
  } catch (const web::http::http_exception& failure) {
    const auto tls = server_->tls();
    const std::string verify_error = tls ? tls->TakeVerifyError() : std::string();
    const CpprestFailure what{.step = failure.what(),
                              .value = failure.error_code().value(),
                              .verify_error = verify_error};
    *stale = MayBeStaleConnection(what);
    return MapCpprestFailure(what);
  } catch (const std::exception& other) {
    return Unavailable(other.what());
  }
}

void Operation::Receive(std::string_view data) {
  if (finished_) {
    return;
  }
  if (!head_delivered_) {
    held_back_.append(data);
    return;
  }
  last_heard_ = std::chrono::steady_clock::now();
  Deliver([&] { handlers_.on_data(data); });
}

void Operation::ArmTimer(SteadyTime at) {
  timer_.expires_at(at);
  timer_.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
    if (const auto self = weak.lock(); self && !error) {
      self->HandleTimer();
    }
  });
}

void Operation::HandleTimer() {
  if (finished_) {
    return;
  }
  const bool listening = head_delivered_ && timeouts_.silence.count() > 0;
  if (listening && std::chrono::steady_clock::now() < last_heard_ + timeouts_.silence) {
    ArmTimer(last_heard_ + timeouts_.silence);
    return;
  }
  const milliseconds waited = listening ? timeouts_.silence : timeouts_.first;
  Finish(MakeError(
      Code::kDeadlineExceeded,
      (listening ? "nothing heard for " : "no answer within ") + FormatGoDuration(waited)));
}

void Operation::Finish(Status end) {
  if (finished_) {
    return;
  }
  finished_ = true;
  const auto self = shared_from_this();
  siblings_->erase(self);
  timer_.cancel();
  if (!end) {
    cancel_.cancel();  // closes the connection
  }
  client_.reset();
  Deliver([&] { handlers_.on_end(std::move(end)); });
}

void Operation::Detach() {
  const std::lock_guard lock(handler_mutex_);
  detached_ = true;
}

// --- The interface -------------------------------------------------------------------------------

class CpprestStream final : public Stream {
 public:
  explicit CpprestStream(std::shared_ptr<Operation> operation) : operation_(std::move(operation)) {}

  ~CpprestStream() override {
    operation_->Detach();
    Io().post([operation = std::move(operation_)] { operation->Finish(Cancelled("closed")); });
  }

 private:
  std::shared_ptr<Operation> operation_;
};

bool IsClean(std::string_view text, bool allow_space) {
  return std::none_of(text.begin(), text.end(), [allow_space](unsigned char c) {
    return c < 0x20 || c == 0x7f || (c == ' ' && !allow_space);
  });
}

Status Check(const Request& request) {
  bool ok = !request.method.empty() && IsClean(request.method, false) &&
            request.target.substr(0, 1) == "/" && IsClean(request.target, false);
  for (const auto& [name, value] : request.headers) {
    ok = ok && !name.empty() && IsClean(name, false) && IsClean(value, true);
  }
  return ok ? Status() : InvalidArgument("malformed request: method, path or header");
}

class CpprestTransport final : public Transport {
 public:
  explicit CpprestTransport(std::shared_ptr<Server> server) : server_(std::move(server)) {}

  ~CpprestTransport() override {
    if (OnIoThread()) {
      FinishAll(*operations_);
      return;
    }
    if (Io().stopped()) {
      return;  // the process ends: the pool is gone, and with it whoever could call a handler
    }
    auto done = std::make_shared<std::promise<void>>();
    Io().post([this, done] {
      FinishAll(*operations_);
      done->set_value();
    });
    done->get_future().wait();
  }

  void Post(std::function<void()> function) override { Io().post(std::move(function)); }

  void Dispatch(std::function<void()> function) override { Io().dispatch(std::move(function)); }

  Status SetTls(const TlsConfig& tls) override {
    if (server_->uri().scheme() != "https") {
      return {};
    }
    FARLET_ASSIGN(auto context, TlsContext::Make(tls, server_->uri().host(), PrepareSocket));
    server_->SetTls(std::move(context));
    return {};
  }

  void Send(Request request, const SendOptions& options, Callback<Response> done) override {
    // Shared by the handlers, which outlive this call.
    struct Collected {
      Response response;
      std::weak_ptr<Operation> operation;
    };

    auto collected = std::make_shared<Collected>();
    StreamHandlers handlers{
        .on_head = [collected](const Response& head) { collected->response = head; },
        .on_data =
            [collected, limit = options.max_body](std::string_view data) {
              if (collected->response.body.size() + data.size() <= limit) {
                collected->response.body.append(data);
              } else if (const auto operation = collected->operation.lock()) {
                Error error =
                    MakeError(Code::kResourceExhausted, "answer longer than the limit of " +
                                                            std::to_string(limit) + " bytes");
                error.retryable = false;
                operation->Finish(std::move(error));
              }
            },
        .on_end =
            [collected, done = std::move(done)](Status end) {
              if (!end) {
                done(std::move(end).error());
              } else {
                done(std::move(collected->response));
              }
            }};
    collected->operation =
        Launch(std::move(request), {.first = options.timeout}, std::move(handlers));
  }

  std::unique_ptr<Stream> OpenStream(Request request,
                                     const StreamOptions& options,
                                     StreamHandlers handlers) override {
    return std::make_unique<CpprestStream>(
        Launch(std::move(request), {.first = options.open_timeout, .silence = options.silence},
               std::move(handlers)));
  }

 private:
  static void FinishAll(const Operations& operations) {
    const Operations all = operations;
    for (const auto& operation : all) {
      operation->Finish(Cancelled("the client was closed"));
    }
  }

  std::shared_ptr<Operation> Launch(Request request,
                                    const Timeouts& timeouts,
                                    StreamHandlers handlers) {
    Status checked = Check(request);
    auto operation = std::make_shared<Operation>(server_, operations_, std::move(request), timeouts,
                                                 std::move(handlers));
    Io().post([operation, checked = std::move(checked)] {
      if (checked) {
        operation->Start();
      } else {
        operation->Finish(checked.error());
      }
    });
    return operation;
  }

  const std::shared_ptr<Server> server_;
  const std::shared_ptr<Operations> operations_ = std::make_shared<Operations>();
};

}  // namespace
}  // namespace farlet::kube::http

// cpprestsdk has OpenSSL parse the system's roots (140 certificates, 20 ms of a core) for each
// connection, only for TlsContext to replace them. There is no setting against it, so libcpprest's
// call is bound to this definition instead; everybody else gets what the original does.
// NOLINTNEXTLINE(readability-identifier-naming): OpenSSL's name.
extern "C" int SSL_CTX_set_default_verify_paths(SSL_CTX* context) {
  if (farlet::kube::http::OnIoThread()) {
    return 1;
  }
  return X509_STORE_set_default_paths(SSL_CTX_get_cert_store(context));
}

namespace farlet::kube::http {

Result<std::unique_ptr<Transport>> MakeTransport(std::string server_url,
                                                 const std::optional<TlsConfig>& tls) {
  Io();
  try {
    web::uri uri(server_url);
    const bool http = uri.scheme() == "http" || uri.scheme() == "https";
    if (!http || uri.host().empty() || !uri.query().empty() || !uri.user_info().empty()) {
      return InvalidArgument("server address " + server_url + ": not https://HOST[:PORT][/PATH]");
    }
    if (uri.host().front() == '[') {
      return InvalidArgument("server address " + server_url +
                             ": an IPv6 address cannot be used here; use a host name");
    }
    std::shared_ptr<TlsContext> context;
    if (tls && uri.scheme() == "https") {
      FARLET_ASSIGN(context, TlsContext::Make(*tls, uri.host(), PrepareSocket));
    }
    auto server = std::make_shared<Server>(std::move(uri), std::move(context));
    return std::make_unique<CpprestTransport>(std::move(server));
  } catch (const std::exception& malformed) {
    return InvalidArgument("server address " + server_url + ": " + malformed.what());
  }
}

}  // namespace farlet::kube::http
