#include "kube/auth/credentials.h"
#include "kube/client/make_client.h"
#include "tests/fakes/apiserver/fake_http_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>

namespace farlet::kube {
namespace {

using farlet::testing::FakeExchange;
using farlet::testing::FakeHttpServer;

// A token that changes when it is refused.
class CountingCredentials final : public Credentials {
 public:
  void Get(Callback<CredentialPtr> done) override {
    auto credential = std::make_shared<Credential>();
    credential->generation = generation_;
    credential->tls_generation = 1;
    credential->bearer_token = "token-" + std::to_string(generation_);
    done(CredentialPtr(std::move(credential)));
  }

  void Invalidate(uint64_t generation) override {
    if (generation == generation_) {
      ++generation_;
    }
  }

 private:
  std::atomic<uint64_t> generation_{1};
};

class ClientTest : public ::testing::Test {
 protected:
  void Serve(FakeHttpServer::Handler handler) {
    server_ = std::make_unique<FakeHttpServer>(std::move(handler));
    ClusterAccess access;
    access.server = server_->url();
    access.credentials = std::make_shared<CountingCredentials>();
    options_.stats = stats_;
    client_ = *MakeClient(access, clock_, timers_, options_);
  }

  Result<Json> Get(const std::string& path, CallOptions options = {}) {
    return Await<Json>(
        [&](Callback<Json> done) { client_->Get(path, {}, options, std::move(done)); });
  }

  Result<Json> Create(const std::string& path, const Json& object) {
    return Await<Json>(
        [&](Callback<Json> done) { client_->Create(path, object, {}, std::move(done)); });
  }

  RealClock clock_;
  TimerService timers_{clock_};
  ClientOptions options_;
  std::shared_ptr<ClientStats> stats_ = std::make_shared<ClientStats>();
  std::unique_ptr<FakeHttpServer> server_;
  std::unique_ptr<Client> client_;
};

Json Echo(const testing::FakeRequest& request) {
  const auto header = [&](const char* name) {
    const auto found = request.headers.find(name);
    return found == request.headers.end() ? std::string() : found->second;
  };
  return {{"method", request.method},
          {"target", request.target},
          {"type", header("content-type")},
          {"accept", header("accept")},
          {"authorization", header("authorization")},
          {"agent", header("user-agent")},
          {"body", request.body}};
}

TEST_F(ClientTest, EveryVerb) {
  Serve([](FakeExchange& exchange) { exchange.Respond(200, Echo(exchange.request()).dump()); });
  const std::string path = "/api/v1/nodes/a";
  const CallOptions options;

  const auto get = Await<Json>([&](Callback<Json> done) {
    client_->Get(path, {{"fieldSelector", "spec.nodeName=a,b"}, {"limit", "5"}}, options, done);
  });
  ASSERT_TRUE(get) << get.error().message;
  EXPECT_EQ((*get)["target"], path + "?fieldSelector=spec.nodeName%3Da%2Cb&limit=5");
  EXPECT_EQ((*get)["method"], "GET");
  EXPECT_EQ((*get)["accept"], "application/json");
  EXPECT_EQ((*get)["authorization"], "Bearer token-1");
  EXPECT_EQ((*get)["agent"], "farlet");

  const auto post = Create("/api/v1/nodes", {{"name", "ä\xff"}});
  ASSERT_TRUE(post) << post.error().message;
  EXPECT_EQ((*post)["method"], "POST");
  EXPECT_EQ((*post)["type"], "application/json");

  const auto put = Await<Json>(
      [&](Callback<Json> done) { client_->Replace(path, Json::object(), options, done); });
  EXPECT_EQ((*put)["method"], "PUT");

  for (const auto& [type, media] :
       {std::pair(PatchType::kStrategicMerge, "application/strategic-merge-patch+json"),
        std::pair(PatchType::kMerge, "application/merge-patch+json"),
        std::pair(PatchType::kJson, "application/json-patch+json")}) {
    const auto patch = Await<Json>([&, patch_type = type](Callback<Json> done) {
      client_->Patch(path, patch_type, Json::array(), options, done);
    });
    EXPECT_EQ((*patch)["method"], "PATCH");
    EXPECT_EQ((*patch)["type"], media);
    EXPECT_EQ((*patch)["body"], "[]");
  }

  const auto gone = Await<Json>([&](Callback<Json> done) {
    client_->Delete(path, {.grace_period_seconds = 0, .precondition_uid = "u-1"}, options,
                    std::move(done));
  });
  EXPECT_EQ((*gone)["method"], "DELETE");
  EXPECT_EQ(Json::parse((*gone)["body"].get<std::string>()),
            Json({{"kind", "DeleteOptions"},
                  {"apiVersion", "v1"},
                  {"gracePeriodSeconds", 0},
                  {"preconditions", {{"uid", "u-1"}}}}));
  EXPECT_EQ(stats_->counts().by_verb.at("PATCH"), 3u);
  EXPECT_EQ(stats_->counts().by_verb_and_resource.at("POST nodes"), 1u);
}

TEST_F(ClientTest, StatusOfTheServerIsTheError) {
  Serve([](FakeExchange& exchange) {
    exchange.Respond(
        409, R"({"kind":"Status","message":"already there","reason":"AlreadyExists","code":409})");
  });
  const auto answer = Create("/api/v1/nodes", Json::object());
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Code::kAlreadyExists);
  EXPECT_EQ(answer.error().reason, "AlreadyExists");
  EXPECT_EQ(answer.error().http_status, 409);
  EXPECT_EQ(answer.error().message, "POST /api/v1/nodes: already there");
  EXPECT_EQ(server_->requests(), 1);
}

TEST_F(ClientTest, RetriesUntilItWorks) {
  std::atomic<int> tries{0};
  Serve([&](FakeExchange& exchange) {
    switch (++tries) {
      case 1:
        return exchange.Respond(429, "{}", "application/json", {{"Retry-After", "0"}});
      case 2:
        return exchange.Respond(503, "");
      case 3:
        return exchange.Drop();
      case 4:
        return exchange.Respond(500, "etcd", "text/plain");
      default:
        return exchange.Respond(200, R"({"ok":true})");
    }
  });
  const auto answer = Get("/x");
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_GE(stats_->counts().retries, 3u);
}

TEST_F(ClientTest, RetryAfterIsHonoured) {
  std::atomic<int> tries{0};
  Serve([&](FakeExchange& exchange) {
    if (++tries == 1) {
      exchange.Respond(429, "{}", "application/json", {{"Retry-After", "1"}});
    } else {
      exchange.Respond(200, "{}");
    }
  });
  const SteadyTime start = clock_.Now();
  EXPECT_TRUE(Get("/x"));
  EXPECT_GE(clock_.Now() - start, seconds(1));
}

TEST_F(ClientTest, NoRetryWhenNotWanted) {
  Serve([](FakeExchange& exchange) {
    exchange.Respond(503, "{}", "application/json", {{"Retry-After", "7"}});
  });
  const auto answer = Get("/x", {.retry = false});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Code::kUnavailable);
  EXPECT_EQ(answer.error().retry_after, seconds(7));
  EXPECT_EQ(server_->requests(), 1);
}

TEST_F(ClientTest, DeadlineEndsRetries) {
  Serve([](FakeExchange& exchange) { exchange.Respond(503, "busy", "text/plain"); });
  // Long enough for several tries on a busy machine; how many is not promised.
  const auto answer = Get("/x", {.deadline = milliseconds(2500)});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Code::kDeadlineExceeded);
  EXPECT_THAT(answer.error().message,
              ::testing::MatchesRegex(
                  "GET /x: HTTP 503: busy; given up: deadline of 2[.]5s after [0-9]+ tries"));
  EXPECT_EQ(answer.error().http_status, 503);
}

TEST_F(ClientTest, RetryAfterBeyondTheDeadlineFailsAtOnce) {
  Serve([](FakeExchange& exchange) {
    exchange.Respond(429, "{}", "application/json", {{"Retry-After", "3000"}});
  });
  const SteadyTime start = clock_.Now();
  const auto answer = Get("/x");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Code::kDeadlineExceeded);
  EXPECT_EQ(answer.error().retry_after, seconds(3000));
  EXPECT_LT(clock_.Now() - start, seconds(10));
}

TEST_F(ClientTest, SilentServer) {
  Serve([](FakeExchange& exchange) { exchange.WaitClosed(seconds(20)); });
  const auto answer = Get("/x", {.deadline = milliseconds(100)});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Code::kDeadlineExceeded);
  EXPECT_EQ(answer.error().message.substr(0, 7), "GET /x:");
}

TEST_F(ClientTest, UnauthorizedRefreshesOnce) {
  std::atomic<bool> always{false};
  Serve([&](FakeExchange& exchange) {
    const bool ok = exchange.request().headers.at("authorization") == "Bearer token-2" && !always;
    exchange.Respond(ok ? 200 : 401, "{}");
  });
  EXPECT_TRUE(Get("/x"));
  EXPECT_EQ(server_->requests(), 2);
  EXPECT_TRUE(Get("/x"));
  EXPECT_EQ(server_->requests(), 3);
  always = true;
  const auto refused = Get("/x");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kUnauthenticated);
  EXPECT_EQ(server_->requests(), 5);
}

TEST_F(ClientTest, MalformedAnswers) {
  Serve([](FakeExchange& exchange) { exchange.Respond(200, exchange.request().body); });
  for (const char* path : {"/empty"}) {
    const auto answer = Get(path);
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, Code::kInternal);
    EXPECT_EQ(answer.error().message, "GET /empty: the server's answer is not a JSON object");
  }
  EXPECT_FALSE(Create("/x", "just a string"));
}

TEST_F(ClientTest, RateLimitSpreadsRequests) {
  options_.qps = 20;
  options_.burst = 5;
  Serve([](FakeExchange& exchange) { exchange.Respond(200, "{}"); });
  const SteadyTime start = clock_.Now();
  std::atomic<int> left{15};
  std::promise<void> all;
  for (int i = 0; i < 15; ++i) {
    client_->Get("/x", {}, {}, [&](Result<Json> answer) {
      EXPECT_TRUE(answer);
      if (--left == 0) {
        all.set_value();
      }
    });
  }
  all.get_future().wait();
  EXPECT_GE(clock_.Now() - start, milliseconds(490));
  const auto late = Await<Json>([&](Callback<Json> done) {
    for (int i = 0; i < 5; ++i) {
      client_->Get("/x", {}, {}, [](const Result<Json>&) {});
    }
    client_->Get("/x", {}, {.deadline = milliseconds(10)}, std::move(done));
  });
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Code::kDeadlineExceeded);
}

TEST_F(ClientTest, DestructionCancelsAndWaits) {
  options_.burst = 2;
  options_.qps = 0.1;
  Serve([](FakeExchange& exchange) {
    if (exchange.request().path == "/busy") {
      exchange.Respond(503, "");
    } else {
      exchange.WaitClosed(seconds(20));
    }
  });
  std::atomic<int> cancelled{0};
  const auto expect_cancelled = [&](Result<Json> answer) {
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, Code::kCancelled);
    ++cancelled;
  };
  client_->Get("/silent", {}, {}, expect_cancelled);
  client_->Get("/busy", {}, {}, expect_cancelled);
  client_->Get("/waits-for-a-token", {}, {.deadline = seconds(60)}, expect_cancelled);
  client_.reset();
  EXPECT_EQ(cancelled, 3);
}

TEST_F(ClientTest, UnreachableServer) {
  Serve([](FakeExchange& exchange) { exchange.Respond(200, "{}"); });
  server_->Stop();
  const auto answer = Get("/x", {.retry = false});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Code::kUnavailable);
  EXPECT_EQ(answer.error().message,
            "GET /x: " + server_->url() + ": connect: connection refused or host unreachable");
}

}  // namespace
}  // namespace farlet::kube
