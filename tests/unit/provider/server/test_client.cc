#include "tests/unit/provider/server/test_client.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <csignal>
#include <utility>

namespace farlet::server::testing {
namespace {

constexpr int kTimeoutSeconds = 5;

int Connect(uint16_t port) {
  // OpenSSL writes to sockets that the server may have closed.
  std::signal(SIGPIPE, SIG_IGN);
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval timeout{kTimeoutSeconds, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    ::close(fd);
    return -1;
  }
  return fd;
}

void UseCertificate(SSL_CTX* context, const farlet::testing::FakeCertificate& pair) {
  BIO* certificate_bio = BIO_new_mem_buf(pair.certificate_pem.data(), -1);
  X509* certificate = PEM_read_bio_X509(certificate_bio, nullptr, nullptr, nullptr);
  SSL_CTX_use_certificate(context, certificate);
  X509_free(certificate);
  BIO_free(certificate_bio);
  BIO* key_bio = BIO_new_mem_buf(pair.key_pem.data(), -1);
  EVP_PKEY* key = PEM_read_bio_PrivateKey(key_bio, nullptr, nullptr, nullptr);
  SSL_CTX_use_PrivateKey(context, key);
  EVP_PKEY_free(key);
  BIO_free(key_bio);
}

// Takes one chunk from the front of `buffer`; nothing while it is not all there.
std::optional<std::string> TakeChunk(std::string& buffer) {
  const size_t line = buffer.find("\r\n");
  if (line == std::string::npos) {
    return std::nullopt;
  }
  const size_t size = std::stoul(buffer.substr(0, line), nullptr, 16);
  if (buffer.size() < line + 2 + size + 2) {
    return std::nullopt;
  }
  std::string chunk = buffer.substr(line + 2, size);
  buffer.erase(0, line + 2 + size + 2);
  return chunk;
}

}  // namespace

struct TestClient::Tls {
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  SSL* ssl = nullptr;

  Tls() = default;
  Tls(const Tls&) = delete;
  Tls& operator=(const Tls&) = delete;

  ~Tls() {
    SSL_free(ssl);
    SSL_CTX_free(context);
    ERR_clear_error();
  }
};

TestClient::TestClient(uint16_t port, ClientOptions options) : fd_(Connect(port)) {
  connected_ = fd_ >= 0;
  if (!connected_ || !options.tls) {
    return;
  }
  tls_ = std::make_unique<Tls>();
  constexpr std::array<unsigned char, 12> kProtocols{2,   'h', '2', 8,   'h', 't',
                                                     't', 'p', '/', '1', '.', '1'};
  SSL_CTX_set_alpn_protos(tls_->context, kProtocols.data(), kProtocols.size());
  if (options.certificate) {
    UseCertificate(tls_->context, *options.certificate);
  }
  tls_->ssl = SSL_new(tls_->context);
  SSL_set_fd(tls_->ssl, fd_);
  connected_ = SSL_connect(tls_->ssl) == 1;
}

TestClient::~TestClient() {
  if (tls_ && connected_) {
    SSL_shutdown(tls_->ssl);
  }
  if (fd_ >= 0) {
    ::close(fd_);
  }
}

bool TestClient::connected() const {
  return connected_;
}

bool TestClient::Send(std::string_view bytes) {
  while (!bytes.empty()) {
    const int size = static_cast<int>(std::min<size_t>(bytes.size(), 1 << 20));
    const ssize_t sent = tls_ ? SSL_write(tls_->ssl, bytes.data(), size)
                              : ::send(fd_, bytes.data(), static_cast<size_t>(size), MSG_NOSIGNAL);
    if (sent <= 0) {
      ERR_clear_error();
      return false;
    }
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

bool TestClient::Get(std::string_view target, std::string_view headers) {
  return Send("GET " + std::string(target) + " HTTP/1.1\r\nHost: node\r\n" + std::string(headers) +
              "\r\n");
}

HttpAnswer TestClient::Fetch(std::string_view target, std::string_view headers) {
  Get(target, headers);
  return Read();
}

bool TestClient::Fill() {
  std::array<char, 65536> block{};
  const ssize_t size = tls_ ? SSL_read(tls_->ssl, block.data(), static_cast<int>(block.size()))
                            : ::recv(fd_, block.data(), block.size(), 0);
  if (size <= 0) {
    ERR_clear_error();
    return false;
  }
  buffer_.append(block.data(), static_cast<size_t>(size));
  return true;
}

std::string TestClient::ReadBytes(size_t size) {
  while (buffer_.size() < size && Fill()) {
  }
  std::string bytes = buffer_.substr(0, size);
  buffer_.erase(0, bytes.size());
  return bytes;
}

std::string TestClient::ReadUntil(std::string_view mark) {
  size_t found = buffer_.find(mark);
  while (found == std::string::npos && Fill()) {
    found = buffer_.find(mark);
  }
  const size_t size = found == std::string::npos ? buffer_.size() : found + mark.size();
  std::string bytes = buffer_.substr(0, size);
  buffer_.erase(0, size);
  return bytes;
}

bool TestClient::AtEnd() {
  if (!buffer_.empty()) {
    return false;
  }
  std::array<char, 1> byte{};
  if (tls_) {
    const int size = SSL_read(tls_->ssl, byte.data(), 1);
    const int error = SSL_get_error(tls_->ssl, size);
    ERR_clear_error();
    return size <= 0 && error != SSL_ERROR_WANT_READ;
  }
  const ssize_t size = ::recv(fd_, byte.data(), 1, 0);
  return size == 0 || (size < 0 && errno != EAGAIN);
}

HttpAnswer TestClient::Read() {
  HttpAnswer answer;
  std::string head = ReadUntil("\r\n\r\n");
  if (head.size() < 12) {
    return answer;
  }
  answer.status = std::stoi(head.substr(9, 3));
  for (size_t line = head.find("\r\n") + 2; line + 2 < head.size();) {
    const size_t end = head.find("\r\n", line);
    const size_t colon = head.find(':', line);
    std::string name = head.substr(line, colon - line);
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char letter) { return std::tolower(letter); });
    answer.headers[name] = head.substr(colon + 2, end - colon - 2);
    line = end + 2;
  }
  if (answer.headers.contains("transfer-encoding")) {
    while (!answer.complete) {
      auto chunk = TakeChunk(buffer_);
      if (chunk) {
        answer.complete = chunk->empty();
        answer.body += *chunk;
      } else if (!Fill()) {
        break;
      }
    }
    return answer;
  }
  if (answer.headers.contains("content-length")) {
    const size_t size = std::stoul(answer.headers["content-length"]);
    answer.body = ReadBytes(size);
    answer.complete = answer.body.size() == size;
    return answer;
  }
  while (answer.status != 101 && Fill()) {
  }
  answer.body = std::exchange(buffer_, {});
  answer.complete = true;
  return answer;
}

void TestClient::HalfClose() {
  ::shutdown(fd_, SHUT_WR);
}

void TestClient::Reset() {
  const linger now{1, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  ::close(fd_);
  fd_ = -1;
  connected_ = false;
}

std::string TestClient::PeerCommonName() const {
  X509* certificate = SSL_get1_peer_certificate(tls_->ssl);
  std::array<char, 256> name{};
  X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name.data(),
                            name.size());
  X509_free(certificate);
  return name.data();
}

std::string TestClient::Protocol() const {
  const unsigned char* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(tls_->ssl, &name, &size);
  return {reinterpret_cast<const char*>(name), size};
}

}  // namespace farlet::server::testing
