#pragma once

#include "tests/fakes/apiserver/fake_api_server_core.h"
#include "tests/fakes/apiserver/fake_http_server.h"

#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace farlet::testing {

// A Kubernetes API server on a real socket, as far as farlet needs one: FakeApiCore behind
// FakeHttpServer. Objects outlive Stop() and Start(), which keep the port too, so that a test can
// take the server away and bring it back.
//
//   FakeApiServer server;
//   server.api().Put("/api/v1/namespaces/default/pods/web", pod);
//   server.api().InjectFault({.verb = "PATCH", .path = "/status", .times = 3, .status = 500});
//   …
//   EXPECT_TRUE(server.api().WaitFor("/api/v1/namespaces/default/pods/web", IsRunning));
class FakeApiServer {
 public:
  explicit FakeApiServer(std::optional<FakeTlsOptions> tls = std::nullopt);
  ~FakeApiServer();

  FakeApiServer(const FakeApiServer&) = delete;
  FakeApiServer& operator=(const FakeApiServer&) = delete;

  FakeApiCore& api() { return core_; }

  // "http://127.0.0.1:PORT" or "https://…".
  std::string url() const;

  // Closes the port and every connection; Start() listens again.
  void Stop();
  void Start();
  // The connections only.
  void DropConnections(bool reset = false);
  // Until Resume(), nothing is read or answered, and nothing is closed.
  void Freeze();
  void Resume();

  // Common name and organizations of the client certificate of the latest request.
  std::string last_client_common_name() const;
  std::vector<std::string> last_client_organizations() const;
  // The Authorization header of the latest request.
  std::string last_authorization() const;

 private:
  void Handle(FakeExchange& exchange);
  void HandleWatch(FakeExchange& exchange, const ApiCall& call);
  void Remember(const FakeRequest& request);

  FakeApiCore core_;
  const std::optional<FakeTlsOptions> tls_;
  int port_ = 0;
  mutable std::mutex mutex_;  // guards last_
  FakeRequest last_;
  std::unique_ptr<FakeHttpServer> http_;  // last: its threads use the rest
};

}  // namespace farlet::testing
