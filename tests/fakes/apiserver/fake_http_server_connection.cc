#include "tests/fakes/apiserver/fake_http_server_connection.h"

#include <boost/asio/write.hpp>
#include <boost/beast/http.hpp>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cctype>
#include <charconv>

namespace farlet::testing {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;

std::string Unescape(std::string_view text, bool plus_is_space) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned value = 0;
    if (text[i] == '%' && i + 2 < text.size() &&
        std::from_chars(text.data() + i + 1, text.data() + i + 3, value, 16).ec == std::errc()) {
      out += static_cast<char>(value);
      i += 2;
    } else {
      out += text[i] == '+' && plus_is_space ? ' ' : text[i];
    }
  }
  return out;
}

void ParseTarget(FakeRequest& request) {
  const std::string_view target = request.target;
  const size_t mark = target.find('?');
  request.path = Unescape(target.substr(0, mark), false);
  std::string_view rest =
      mark == std::string_view::npos ? std::string_view() : target.substr(mark + 1);
  while (!rest.empty()) {
    const std::string_view pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
    const size_t equals = std::min(pair.find('='), pair.size());
    const std::string_view value = pair.substr(std::min(pair.size(), equals + 1));
    request.query[Unescape(pair.substr(0, equals), true)] = Unescape(value, true);
  }
}

std::vector<std::string> NameEntries(X509* certificate, int nid) {
  std::vector<std::string> values;
  X509_NAME* subject = X509_get_subject_name(certificate);
  for (int i = -1; (i = X509_NAME_get_index_by_NID(subject, nid, i)) >= 0;) {
    const ASN1_STRING* data = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, i));
    values.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(data)),
                        static_cast<size_t>(ASN1_STRING_length(data)));
  }
  return values;
}

}  // namespace

FakeConnection::FakeConnection(asio::ip::tcp::socket socket,
                               std::shared_ptr<asio::ssl::context> tls,
                               int number)
    : socket_(std::move(socket)), context_(std::move(tls)), number_(number) {
  error_code ignored;
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
  if (context_) {
    tls_.emplace(socket_, *context_);
  }
}

bool FakeConnection::Handshake() {
  error_code error;
  if (tls_) {
    tls_->handshake(asio::ssl::stream_base::server, error);
  }
  return !error;
}

std::optional<FakeRequest> FakeConnection::ReadRequest() {
  http::request_parser<http::string_body> parser;
  parser.body_limit(64u << 20);
  error_code error;
  if (tls_) {
    http::read(*tls_, buffer_, parser, error);
  } else {
    http::read(socket_, buffer_, parser, error);
  }
  if (error) {
    return std::nullopt;
  }
  FakeRequest request;
  request.method = std::string(parser.get().method_string());
  request.target = std::string(parser.get().target());
  request.connection = number_;
  for (const auto& field : parser.get()) {
    std::string name(field.name_string());
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    request.headers[name] = std::string(field.value());
  }
  request.body = std::move(parser.get().body());
  ParseTarget(request);
  FillPeer(request);
  return request;
}

void FakeConnection::FillPeer(FakeRequest& request) {
  if (!tls_) {
    return;
  }
  SSL* ssl = tls_->native_handle();
  if (const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name)) {
    request.sni = name;
  }
  if (X509* certificate = SSL_get0_peer_certificate(ssl)) {
    const auto names = NameEntries(certificate, NID_commonName);
    request.client_common_name = names.empty() ? std::string() : names.front();
    request.client_organizations = NameEntries(certificate, NID_organizationName);
  }
}

bool FakeConnection::Write(std::string_view bytes) {
  const std::lock_guard lock(write_mutex_);
  if (ended_) {
    return false;
  }
  error_code error;
  const auto buffer = asio::buffer(bytes.data(), bytes.size());
  if (tls_) {
    asio::write(*tls_, buffer, error);
  } else {
    asio::write(socket_, buffer, error);
  }
  return !error;
}

bool FakeConnection::WaitReadable(std::chrono::milliseconds timeout) const {
  pollfd wait{.fd = const_cast<FakeConnection*>(this)->socket_.native_handle(),
              .events = POLLIN | POLLRDHUP,
              .revents = 0};
  return ended_ || ::poll(&wait, 1, static_cast<int>(timeout.count())) > 0;
}

void FakeConnection::Shutdown(bool reset) {
  ended_ = true;
  const int fd = socket_.native_handle();
  if (reset) {
    // Leaving the connection this way sends RST.
    sockaddr unspecified{};
    unspecified.sa_family = AF_UNSPEC;
    ::connect(fd, &unspecified, sizeof(unspecified));
  }
  ::shutdown(fd, SHUT_RDWR);
}

}  // namespace farlet::testing
