#include "provider/server/server.h"

#include "tests/unit/provider/server/server_fixture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <thread>

namespace farlet::server::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST_F(ServerTest, AnswersHealthz) {
  Start();
  for (const char* path :
       {"/healthz", "/healthz/", "/healthz/ping", "/healthz/log", "/healthz/syncloop"}) {
    const HttpAnswer answer = Fetch(path);
    EXPECT_EQ(answer.status, 200) << path;
    EXPECT_EQ(answer.body, "ok") << path;
  }
  EXPECT_EQ(Fetch("/healthz/other").status, 404);
}

TEST_F(ServerTest, PlainListenerServesHealthzOnly) {
  handlers_.pods = [](Callback<std::string> done) { done("{}"); };
  Start();
  TestClient client(server_->healthz_port(), {.tls = false});
  EXPECT_EQ(client.Fetch("/healthz").body, "ok");
  EXPECT_EQ(client.Fetch("/healthz/syncloop").status, 200);
  EXPECT_EQ(client.Fetch("/pods").status, 404);
}

TEST_F(ServerTest, HealthzFailsWithTheLoop) {
  handlers_.sync_loop = [] { return Status(Unavailable("stuck for 6m")); };
  Start();
  const HttpAnswer answer = Fetch("/healthz");
  EXPECT_EQ(answer.status, 500);
  EXPECT_THAT(answer.body, HasSubstr("[-]syncloop failed: stuck for 6m"));
  EXPECT_EQ(Fetch("/healthz/ping").status, 200);
  EXPECT_EQ(Fetch("/healthz/syncloop").status, 500);
}

TEST_F(ServerTest, AnswersDocumentsFromAnyThread) {
  handlers_.pods = [](Callback<std::string> done) { done(R"({"kind":"PodList"})"); };
  handlers_.running_pods = [](Callback<std::string> done) {
    std::thread([done] { done(R"({"items":[]})"); }).detach();
  };
  handlers_.configz = [](Callback<std::string> done) { done(Unavailable("not yet")); };
  Start();
  const HttpAnswer pods = Fetch("/pods");
  EXPECT_EQ(pods.body, R"({"kind":"PodList"})");
  EXPECT_EQ(pods.headers.at("content-type"), "application/json");
  EXPECT_EQ(Fetch("/runningpods/").body, R"({"items":[]})");
  EXPECT_EQ(Fetch("/configz").status, 503);
  EXPECT_EQ(Fetch("/configz").body, "not yet");
}

TEST_F(ServerTest, AnswersMetricsAndCosts) {
  handlers_.metrics = [](Callback<std::string> done) { done("a_total 1\n"); };
  handlers_.cost = [](const QueryParameters& parameters, Callback<std::string> done) {
    if (parameters.empty()) {
      done(InvalidArgument("namespace: missing"));
    } else {
      done(parameters[0].first + "=" + parameters[0].second);
    }
  };
  Start();
  const HttpAnswer metrics = Fetch("/metrics");
  EXPECT_EQ(metrics.body, "a_total 1\n");
  EXPECT_EQ(metrics.headers.at("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  const HttpAnswer cost = Fetch("/farlet/cost?namespace=a%2Bb");
  EXPECT_EQ(cost.body, "namespace=a+b");
  EXPECT_EQ(cost.headers.at("content-type"), "application/json");
  EXPECT_EQ(Fetch("/farlet/cost").status, 400);
  EXPECT_EQ(Fetch("/farlet/cost").body, "namespace: missing");
  for (const char* path : {"/farlet", "/farlet/other", "/farlet/cost/x", "/metrics/x"}) {
    EXPECT_EQ(Fetch(path).status, 404) << path;
  }
}

TEST_F(ServerTest, KeepsConnectionsAlive) {
  Start();
  auto client = Connect();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(client->Fetch("/healthz").body, "ok");
  }
  // Two at once.
  client->Send("GET /healthz HTTP/1.1\r\nHost: n\r\n\r\nGET /nothing HTTP/1.1\r\nHost: n\r\n\r\n");
  EXPECT_EQ(client->Read().status, 200);
  EXPECT_EQ(client->Read().status, 404);
  EXPECT_EQ(client->Fetch("/healthz", "Connection: close\r\n").status, 200);
  EXPECT_TRUE(client->AtEnd());
}

TEST_F(ServerTest, RefusesWhatIsNotThere) {
  Start();
  for (const char* path : {"/", "/metrics/none", "/healthz/a/b", "/containerLogs/ns/pod",
                           "/exec/ns/pod", "/exec/a/b/c/d/e", "/portForward/ns"}) {
    EXPECT_EQ(Fetch(path).status, 404) << path;
  }
  auto client = Connect();
  client->Send("POST /pods HTTP/1.1\r\nHost: n\r\nContent-Length: 0\r\n\r\n");
  const HttpAnswer answer = client->Read();
  EXPECT_EQ(answer.status, 405);
  EXPECT_EQ(answer.headers.at("allow"), "GET");
  client->Send("DELETE /exec/ns/pod/c HTTP/1.1\r\nHost: n\r\n\r\n");
  EXPECT_EQ(client->Read().headers.at("allow"), "GET, POST");
}

TEST_F(ServerTest, RefusesMalformedRequests) {
  options_.max_header_bytes = 4096;
  options_.max_body_bytes = 1024;
  Start();
  const std::string get = "GET /healthz HTTP/1.1\r\nHost: n\r\n";
  const std::vector<std::pair<std::string, int>> cases{
      {"nonsense\r\n\r\n", 400},
      {"GET /healthz HTTP/9.9\r\n\r\n", 400},
      {"GET /healthz HTTP/1.1\r\nbad header\r\n\r\n", 400},
      {"GET healthz HTTP/1.1\r\nHost: n\r\n\r\n", 400},
      {"GET /../healthz HTTP/1.1\r\nHost: n\r\n\r\n", 400},
      {"GET /%2e%2e/healthz HTTP/1.1\r\nHost: n\r\n\r\n", 400},
      {"GET /a%2fb HTTP/1.1\r\nHost: n\r\n\r\n", 400},
      {"GET /a%00b HTTP/1.1\r\nHost: n\r\n\r\n", 400},
      {"GET /a%zz HTTP/1.1\r\nHost: n\r\n\r\n", 400},
      {"GET //pods HTTP/1.1\r\nHost: n\r\n\r\n", 400},
      {get + "X: " + std::string(5000, 'x') + "\r\n\r\n", 431},
      {get + "Content-Length: 2000\r\n\r\n", 413},
      {get + "Content-Length: x\r\n\r\n", 400},
  };
  for (const auto& [request, status] : cases) {
    auto client = Connect();
    client->Send(request);
    EXPECT_EQ(client->Read().status, status) << request.substr(0, 60);
  }
  const HttpAnswer answer = Fetch("/healthz?follow=%zz");
  EXPECT_EQ(answer.status, 400);
  EXPECT_EQ(answer.body, "malformed query parameter \"follow\"");
}

TEST_F(ServerTest, SpeaksHttp11Only) {
  Start();
  auto client = Connect();
  EXPECT_EQ(client->Protocol(), "http/1.1");
}

TEST_F(ServerTest, ExchangesTheCertificate) {
  Start();
  auto before = Connect();
  EXPECT_EQ(before->PeerCommonName(), "node-1");
  const auto next = ca_.Issue({.common_name = "node-1-renewed"});
  ASSERT_TRUE(server_->SetCertificate(next.certificate_pem, next.key_pem));
  EXPECT_EQ(Connect()->PeerCommonName(), "node-1-renewed");
  // Connections that are there go on; a pair that does not fit changes nothing.
  EXPECT_EQ(before->Fetch("/healthz").status, 200);
  EXPECT_FALSE(server_->SetCertificate(serving_.certificate_pem, next.key_pem));
  EXPECT_FALSE(server_->SetCertificate("nonsense", next.key_pem));
  EXPECT_EQ(Connect()->PeerCommonName(), "node-1-renewed");
}

TEST_F(ServerTest, SaysThatThePortIsTaken) {
  Start();
  ServerOptions options = options_;
  options.port = server_->port();
  Server second(options, {}, {}, {}, clock_);
  EXPECT_EQ(second.Listen().error().code, Code::kFailedPrecondition);
  ASSERT_TRUE(second.SetCertificate(serving_.certificate_pem, serving_.key_pem));
  const Status taken = second.Listen();
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code, Code::kUnavailable);
  EXPECT_TRUE(taken.error().retryable);
  EXPECT_THAT(taken.error().message, StartsWith("listen on 127.0.0.1:"));
  EXPECT_THAT(taken.error().message, HasSubstr("in use"));
  server_.reset();
  EXPECT_TRUE(second.Listen());
}

TEST_F(ServerTest, EndsConnectionsThatSayNothing) {
  options_.timeouts.handshake = std::chrono::milliseconds(100);
  options_.timeouts.header = std::chrono::milliseconds(100);
  options_.timeouts.idle = std::chrono::milliseconds(100);
  Start();
  TestClient silent(server_->port(), {.tls = false});
  EXPECT_TRUE(silent.AtEnd());
  auto slow = Connect();
  slow->Send("GET /healthz HTTP/1.1\r\n");
  EXPECT_TRUE(slow->AtEnd());
  auto idle = Connect();
  EXPECT_EQ(idle->Fetch("/healthz").status, 200);
  EXPECT_TRUE(idle->AtEnd());
}

TEST_F(ServerTest, HoldsManyIdleConnectionsUpToTheLimit) {
  options_.max_connections = 201;
  Start();
  std::vector<std::unique_ptr<TestClient>> clients;
  for (int i = 0; i < 200; ++i) {
    clients.push_back(Connect());
    ASSERT_TRUE(clients.back()->connected()) << i;
  }
  auto last = Connect();
  EXPECT_EQ(last->Fetch("/healthz").status, 200);
  EXPECT_FALSE(Connect()->connected());
  clients.resize(100);
  // The server notices within moments.
  bool accepted = false;
  for (int i = 0; i < 100 && !accepted; ++i) {
    accepted = Connect()->connected();
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_TRUE(accepted);
  EXPECT_EQ(clients.front()->Fetch("/healthz").status, 200);
}

TEST_F(ServerTest, AnswersThatComeTooLateAreDropped) {
  std::promise<Callback<std::string>> promise;
  handlers_.pods = [&](Callback<std::string> done) { promise.set_value(std::move(done)); };
  Start();
  auto client = Connect();
  client->Get("/pods");
  const Callback<std::string> late = promise.get_future().get();
  server_.reset();
  late("{}");
  late("{}");
}

}  // namespace
}  // namespace farlet::server::testing
