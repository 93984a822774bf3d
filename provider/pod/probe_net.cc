// <utility> first: Boost 1.74 with g++ 12.
#include "provider/pod/probe_net.h"

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/strand.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <limits>
#include <optional>
#include <thread>
#include <utility>

namespace farlet::pod {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using beast::error_code;

constexpr size_t kMaxBody = 10 * 1024;
constexpr int kMaxRedirects = 10;

std::string HostPort(const std::string& host, uint16_t port) {
  return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port)
                                             : fmt::format("[{}]:{}", host, port);
}

// As Go words it.
std::string DialError(const std::string& address, const error_code& error) {
  if (error == beast::error::timeout) {
    return fmt::format("dial tcp {}: i/o timeout", address);
  }
  std::string text = error.message();
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return fmt::format("dial tcp {}: connect: {}", address, text);
}

bool SameName(std::string_view a, std::string_view b) {
  return beast::iequals({a.data(), a.size()}, {b.data(), b.size()});
}

// One connection attempt that is all there is to a TCP probe.
class TcpSession : public std::enable_shared_from_this<TcpSession> {
 public:
  TcpSession(asio::io_context& io, std::string host, uint16_t port, ProbeDone done)
      : stream_(io), resolver_(io), host_(std::move(host)), port_(port), done_(std::move(done)) {}

  void Start(milliseconds timeout) {
    stream_.expires_after(timeout);
    resolver_.async_resolve(
        host_, std::to_string(port_), [self = shared_from_this()](error_code error, auto found) {
          if (error) {
            self->Finish(error);
            return;
          }
          self->stream_.async_connect(
              found, [self](error_code failed, const tcp::endpoint&) { self->Finish(failed); });
        });
  }

 private:
  void Finish(const error_code& error) {
    if (error) {
      done_(
          {.kind = ProbeOutcome::Kind::kFailure, .text = DialError(HostPort(host_, port_), error)});
    } else {
      done_({.kind = ProbeOutcome::Kind::kSuccess, .text = {}});
    }
  }

  beast::tcp_stream stream_;
  tcp::resolver resolver_;
  const std::string host_;
  const uint16_t port_;
  ProbeDone done_;
};

// One GET with its redirects: connect → [handshake] → write → read → judge → [next hop].
class HttpSession : public std::enable_shared_from_this<HttpSession> {
 public:
  HttpSession(asio::io_context& io,
              asio::ssl::context& tls,
              HttpProbeRequest request,
              const std::string& user_agent,
              ProbeDone done)
      : io_(io),
        tls_(tls),
        resolver_(io),
        request_(std::move(request)),
        user_agent_(user_agent),
        done_(std::move(done)) {}

  void Start() {
    deadline_ = std::chrono::steady_clock::now() + request_.timeout;
    Connect();
  }

 private:
  std::string Url() const {
    return fmt::format("{}://{}{}", request_.tls ? "https" : "http",
                       HostPort(request_.host, request_.port), request_.path);
  }

  beast::tcp_stream& Lowest() { return beast::get_lowest_layer(*stream_); }

  void Connect() {
    stream_.emplace(io_, tls_);
    buffer_.clear();
    parser_.emplace();
    // Boost 1.74 takes "none" for a limit of zero.
    parser_->body_limit(std::numeric_limits<uint64_t>::max());
    Lowest().expires_at(deadline_);
    resolver_.async_resolve(request_.host, std::to_string(request_.port),
                            [self = shared_from_this()](error_code error, auto found) {
                              if (error) {
                                self->FailDial(error);
                                return;
                              }
                              self->OnResolved(found);
                            });
  }

  void OnResolved(const tcp::resolver::results_type& found) {
    Lowest().async_connect(found,
                           [self = shared_from_this()](error_code error, const tcp::endpoint&) {
                             if (error) {
                               self->FailDial(error);
                             } else if (self->request_.tls) {
                               self->Handshake();
                             } else {
                               self->Write();
                             }
                           });
  }

  void Handshake() {
    stream_->async_handshake(asio::ssl::stream_base::client,
                             [self = shared_from_this()](error_code error) {
                               if (error) {
                                 self->Fail(error.message());
                               } else {
                                 self->Write();
                               }
                             });
  }

  void Write() {
    message_ = {};
    message_.version(11);
    message_.method(http::verb::get);
    message_.target(request_.path);
    message_.set(http::field::host, HostPort(request_.host, request_.port));
    message_.set(http::field::user_agent, user_agent_);
    message_.set(http::field::accept, "*/*");
    message_.set(http::field::connection, "close");
    for (const kube::HttpHeader& header : request_.headers) {
      const bool ours = SameName(header.name, "User-Agent") || SameName(header.name, "Accept");
      if (ours && header.value.empty()) {
        message_.erase(header.name);
      } else {
        message_.set(header.name, header.value);
      }
    }
    const auto written = [self = shared_from_this()](error_code error, size_t) {
      if (error) {
        self->FailIo(error);
      } else {
        self->Read();
      }
    };
    if (request_.tls) {
      http::async_write(*stream_, message_, written);
    } else {
      http::async_write(Lowest(), message_, written);
    }
  }

  void Read() {
    const auto read = [self = shared_from_this()](error_code error, size_t) {
      self->OnRead(error);
    };
    if (request_.tls) {
      http::async_read_some(*stream_, buffer_, *parser_, read);
    } else {
      http::async_read_some(Lowest(), buffer_, *parser_, read);
    }
  }

  // Until the body is complete or enough of it is there.
  void OnRead(const error_code& error) {
    const bool enough = parser_->is_done() ||
                        (parser_->is_header_done() && parser_->get().body().size() >= kMaxBody);
    const bool end = error == http::error::end_of_stream || error == asio::error::eof ||
                     error == asio::ssl::error::stream_truncated;
    if (enough || (parser_->is_header_done() && end)) {
      Judge();
    } else if (error) {
      FailIo(error);
    } else {
      Read();
    }
  }

  void Judge() {
    const auto& response = parser_->get();
    const unsigned status = response.result_int();
    const auto location = response.find(http::field::location);
    if (status >= 300 && status < 400 && status != 304 && location != response.end()) {
      Redirect({location->value().data(), location->value().size()});
    } else if (status >= 200 && status < 400) {
      Finish(ProbeOutcome::Kind::kSuccess, {});
    } else {
      Finish(ProbeOutcome::Kind::kFailure,
             fmt::format("HTTP probe failed with statuscode: {}", status));
    }
  }

  void Redirect(std::string location) {
    if (++redirects_ > kMaxRedirects) {
      Fail("stopped after 10 redirects");
      return;
    }
    const size_t scheme_end = location.find("://");
    if (scheme_end != std::string::npos) {
      const std::string scheme = location.substr(0, scheme_end);
      const size_t path_start = location.find('/', scheme_end + 3);
      const std::string authority = location.substr(
          scheme_end + 3,
          path_start == std::string::npos ? std::string::npos : path_start - scheme_end - 3);
      if (!UseAuthority(scheme == "https", authority)) {
        Finish(ProbeOutcome::Kind::kWarning,
               "Probe terminated redirects, Response body: " + parser_->get().body());
        return;
      }
      location = path_start == std::string::npos ? "/" : location.substr(path_start);
    } else if (location.empty() || location.front() != '/') {
      location = request_.path.substr(0, request_.path.rfind('/') + 1) + location;
    }
    request_.path = std::move(location);
    Connect();
  }

  // False when that is another host.
  bool UseAuthority(bool tls, const std::string& authority) {
    const size_t colon = authority.rfind(':');
    const bool has_port =
        colon != std::string::npos && authority.find(']', colon) == std::string::npos;
    std::string host = has_port ? authority.substr(0, colon) : authority;
    if (host.size() > 2 && host.front() == '[') {
      host = host.substr(1, host.size() - 2);
    }
    if (!SameName(host, request_.host)) {
      return false;
    }
    int port = tls ? 443 : 80;
    if (has_port) {
      port = std::atoi(authority.c_str() + colon + 1);
    }
    if (port <= 0 || port > 65535) {
      return false;
    }
    request_.tls = tls;
    request_.port = static_cast<uint16_t>(port);
    return true;
  }

  void FailDial(const error_code& error) {
    if (error == beast::error::timeout) {
      FailIo(error);
    } else {
      Fail(DialError(HostPort(request_.host, request_.port), error));
    }
  }

  void FailIo(const error_code& error) {
    if (error == beast::error::timeout) {
      Fail("context deadline exceeded (Client.Timeout exceeded while awaiting headers)");
    } else if (error == http::error::end_of_stream) {
      Fail("EOF");
    } else {
      Fail(error.message());
    }
  }

  void Fail(const std::string& why) {
    Finish(ProbeOutcome::Kind::kFailure, fmt::format("Get \"{}\": {}", Url(), why));
  }

  void Finish(ProbeOutcome::Kind kind, std::string text) {
    error_code ignored;
    Lowest().socket().close(ignored);
    done_({.kind = kind, .text = std::move(text)});
  }

  asio::io_context& io_;
  asio::ssl::context& tls_;
  tcp::resolver resolver_;
  std::optional<beast::ssl_stream<beast::tcp_stream>> stream_;
  HttpProbeRequest request_;
  const std::string& user_agent_;
  ProbeDone done_;
  std::chrono::steady_clock::time_point deadline_;
  beast::flat_buffer buffer_;
  http::request<http::empty_body> message_;
  std::optional<http::response_parser<http::string_body>> parser_;
  int redirects_ = 0;
};

class BeastProber final : public NetProber {
 public:
  explicit BeastProber(const std::string& version)
      : user_agent_("kube-probe/" + version),
        tls_(asio::ssl::context::tls_client),
        work_(asio::make_work_guard(io_)),
        thread_([this] { io_.run(); }) {
    tls_.set_verify_mode(asio::ssl::verify_none);
  }

  ~BeastProber() override {
    io_.stop();
    thread_.join();
  }

  void Http(const HttpProbeRequest& request, ProbeDone done) override {
    asio::post(io_, [this, request, done = std::move(done)] {
      std::make_shared<HttpSession>(io_, tls_, request, user_agent_, done)->Start();
    });
  }

  void Tcp(const std::string& host, uint16_t port, milliseconds timeout, ProbeDone done) override {
    asio::post(io_, [this, host, port, timeout, done = std::move(done)] {
      std::make_shared<TcpSession>(io_, host, port, done)->Start(timeout);
    });
  }

 private:
  const std::string user_agent_;
  asio::io_context io_;
  asio::ssl::context tls_;
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  std::thread thread_;
};

}  // namespace

std::unique_ptr<NetProber> MakeNetProber(const std::string& version) {
  return std::make_unique<BeastProber>(version);
}

}  // namespace farlet::pod
