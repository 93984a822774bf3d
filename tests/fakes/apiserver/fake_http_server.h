#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace farlet::testing {

struct FakeRequest {
  std::string method;
  std::string target;                          // as sent: path and query, escaped
  std::string path;                            // unescaped
  std::map<std::string, std::string> query;    // unescaped
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
  std::string client_common_name;                 // of the client's certificate, empty: none
  std::vector<std::string> client_organizations;  // its groups, for Kubernetes
  std::string sni;                                // server name asked for in the TLS handshake
  int connection = 0;  // number of the connection that it came on, from 1
};

// One request and its answer. A handler may keep it busy as long as it likes: every connection has
// a thread of its own. Exactly one of Respond(), StartStream()…EndStream(), WriteRaw() or Drop() is
// the answer; a handler that returns without one answers 500. Methods are thread safe, so that a
// stream can be fed from elsewhere while its handler waits in WaitClosed(); none may be called
// after the handler has returned.
class FakeExchange {
 public:
  virtual ~FakeExchange() = default;

  using Headers = std::vector<std::pair<std::string, std::string>>;

  virtual const FakeRequest& request() const = 0;

  virtual void Respond(int status,
                       std::string_view body,
                       std::string_view content_type = "application/json",
                       const Headers& headers = {}) = 0;

  // A chunked answer: headers now, then chunks, each written at once. Every one of these returns
  // false when the client has gone.
  virtual bool StartStream(int status,
                           std::string_view content_type = "application/json",
                           const Headers& headers = {}) = 0;
  virtual bool WriteChunk(std::string_view data) = 0;
  virtual bool EndStream() = 0;

  // Bytes as they are, for answers that are broken. The connection is closed when the handler
  // returns.
  virtual bool WriteRaw(std::string_view bytes) = 0;

  // Closes the connection without a TLS goodbye; `reset` sends RST instead of FIN.
  virtual void Drop(bool reset = false) = 0;

  // Waits until the client has closed the connection or the server stops (true), or the time is
  // over (false).
  virtual bool WaitClosed(std::chrono::milliseconds timeout) = 0;
};

struct FakeTlsOptions {
  std::string certificate_pem;  // leaf first
  std::string key_pem;
  // Non-empty: client certificates are asked for and verified against this CA.
  std::string client_ca_pem;
  bool require_client_certificate = false;
};

// An HTTP/1.1 server on 127.0.0.1 with keep-alive, a free port and optional TLS. Thread safe.
class FakeHttpServer {
 public:
  using Handler = std::function<void(FakeExchange&)>;

  // Listens when it returns. port 0: any free one; another one is for a server that comes back.
  explicit FakeHttpServer(Handler handler,
                          std::optional<FakeTlsOptions> tls = std::nullopt,
                          int port = 0);
  // Stop().
  ~FakeHttpServer();

  FakeHttpServer(const FakeHttpServer&) = delete;
  FakeHttpServer& operator=(const FakeHttpServer&) = delete;

  // Closes the listener and every connection and waits for the handlers: whoever blocks handlers
  // elsewhere than in WaitClosed() wakes them first.
  void Stop();

  int port() const;
  // "http://127.0.0.1:PORT" or "https://…".
  std::string url() const;

  // Closes every open connection, with RST when `reset`; the server goes on.
  void DropConnections(bool reset = false);
  // Until Resume(): connections are accepted by the kernel but nothing is read or answered.
  void Freeze();
  void Resume();

  int accepted_connections() const;
  int open_connections() const;
  int failed_handshakes() const;
  int requests() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace farlet::testing
