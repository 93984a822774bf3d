#pragma once

#include "tests/fakes/apiserver/fake_http_server_ca.h"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace farlet::server::testing {

struct HttpAnswer {
  int status = 0;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
  bool complete = false;  // the body ended as its framing says
};

struct ClientOptions {
  bool tls = true;
  std::optional<farlet::testing::FakeCertificate> certificate;
};

// A blocking HTTP client over a real socket, with every read bounded by five seconds.
class TestClient {
 public:
  explicit TestClient(uint16_t port, ClientOptions options = {});
  ~TestClient();

  TestClient(const TestClient&) = delete;
  TestClient& operator=(const TestClient&) = delete;

  // The handshake succeeded.
  bool connected() const;

  bool Send(std::string_view bytes);
  // "GET `target`" with extra header lines, each with its CRLF.
  bool Get(std::string_view target, std::string_view headers = {});
  HttpAnswer Read();
  HttpAnswer Fetch(std::string_view target, std::string_view headers = {});

  // At least `size` bytes, fewer at the end of the stream or after the time-out.
  std::string ReadBytes(size_t size);
  // Until `mark` has been seen, or the end.
  std::string ReadUntil(std::string_view mark);
  // Whether the other side has ended the connection (within the time-out).
  bool AtEnd();

  // FIN without a TLS goodbye, the reading side stays.
  void HalfClose();
  void Reset();
  std::string PeerCommonName() const;
  std::string Protocol() const;  // by ALPN

 private:
  struct Tls;

  // False at the end.
  bool Fill();

  int fd_ = -1;
  bool connected_ = false;
  std::unique_ptr<Tls> tls_;
  std::string buffer_;
};

}  // namespace farlet::server::testing
