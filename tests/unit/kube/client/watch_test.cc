#include "kube/auth/credentials.h"
#include "kube/client/make_client.h"
#include "tests/fakes/apiserver/fake_http_server.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <future>
#include <optional>

namespace farlet::kube {
namespace {

using farlet::testing::FakeExchange;
using farlet::testing::FakeHttpServer;

class FixedCredentials final : public Credentials {
 public:
  void Get(Callback<CredentialPtr> done) override {
    auto credential = std::make_shared<Credential>();
    credential->generation = generation_;
    credential->tls_generation = 1;
    credential->bearer_token = std::to_string(generation_);
    done(CredentialPtr(std::move(credential)));
  }

  void Invalidate(uint64_t) override { ++generation_; }

 private:
  std::atomic<uint64_t> generation_{1};
};

std::string Event(const std::string& type, const std::string& name) {
  return Json{{"type", type}, {"object", {{"metadata", {{"name", name}}}}}}.dump() + "\n";
}

class WatchTest : public ::testing::Test {
 protected:
  void Serve(FakeHttpServer::Handler handler) {
    server_ = std::make_unique<FakeHttpServer>(std::move(handler));
    ClusterAccess access;
    access.server = server_->url();
    access.credentials = std::make_shared<FixedCredentials>();
    client_ = *MakeClient(access, clock_, timers_, {.qps = 1000, .burst = 1000});
  }

  std::unique_ptr<WatchStream> Watch(WatchOptions options = {}) {
    return client_->Watch("/api/v1/pods", options,
                          {.on_event =
                               [this](Json event) {
                                 const std::lock_guard lock(mutex_);
                                 names_ += event["object"]["metadata"]["name"];
                                 changed_.notify_all();
                               },
                           .on_end =
                               [this](Status end) {
                                 const std::lock_guard lock(mutex_);
                                 EXPECT_FALSE(end_) << "ended twice";
                                 end_ = std::move(end);
                                 changed_.notify_all();
                               }});
  }

  bool WaitNames(const std::string& names) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, seconds(10), [&] { return names_ == names; });
  }

  Status WaitEnd() {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, seconds(10), [&] { return end_.has_value(); })) {
      return Internal("the test waited in vain");
    }
    return *end_;
  }

  bool ended() {
    const std::lock_guard lock(mutex_);
    return end_.has_value();
  }

  RealClock clock_;
  TimerService timers_{clock_};
  std::mutex mutex_;  // guards names_ and end_
  std::condition_variable changed_;
  std::string names_;
  std::optional<Status> end_;
  std::unique_ptr<FakeHttpServer> server_;
  std::unique_ptr<Client> client_;
};

TEST_F(WatchTest, EventsInPiecesAndANormalEnd) {
  Serve([](FakeExchange& exchange) {
    EXPECT_EQ(exchange.request().target,
              "/api/v1/pods?allowWatchBookmarks=true&fieldSelector=spec.nodeName%3Da&watch=true");
    exchange.StartStream(200);
    const std::string all = Event("ADDED", "a") + Event("MODIFIED", "b") + Event("DELETED", "c");
    for (size_t at = 0; at < all.size(); at += 7) {
      exchange.WriteChunk(std::string_view(all).substr(at, 7));
    }
    exchange.EndStream();
  });
  const auto watch =
      Watch({.query = {{"fieldSelector", "spec.nodeName=a"}, {"allowWatchBookmarks", "true"}}});
  EXPECT_TRUE(WaitEnd());
  EXPECT_TRUE(WaitNames("abc"));
}

TEST_F(WatchTest, CutInTheMiddleOfAnEvent) {
  for (const bool proper : {true, false}) {
    end_.reset();
    names_.clear();
    Serve([proper](FakeExchange& exchange) {
      exchange.StartStream(200);
      exchange.WriteChunk(Event("ADDED", "a") + "{\"type\":\"ADD");
      if (proper) {
        exchange.EndStream();
      } else {
        exchange.Drop();
      }
    });
    const auto watch = Watch();
    const Status end = WaitEnd();
    ASSERT_FALSE(end);
    EXPECT_EQ(end.error().code, Code::kUnavailable);
    EXPECT_TRUE(end.error().retryable);
    EXPECT_EQ(end.error().message.substr(0, 19), "WATCH /api/v1/pods:");
    EXPECT_TRUE(WaitNames("a"));
  }
}

TEST_F(WatchTest, GoneAsAnswerAndAsEvent) {
  const std::string status = R"({"kind":"Status","code":410,"reason":"Expired","message":"old"})";
  for (const bool as_event : {true, false}) {
    end_.reset();
    Serve([&](FakeExchange& exchange) {
      if (as_event) {
        exchange.StartStream(200);
        exchange.WriteChunk("{\"type\":\"ERROR\",\"object\":" + status + "}\n");
        exchange.WaitClosed(seconds(10));
      } else {
        exchange.Respond(410, status);
      }
    });
    const auto watch = Watch();
    const Status end = WaitEnd();
    ASSERT_FALSE(end);
    EXPECT_EQ(end.error().code, Code::kOutOfRange);
    EXPECT_EQ(end.error().http_status, 410);
    EXPECT_EQ(end.error().message, "WATCH /api/v1/pods: old");
    client_.reset();
  }
}

TEST_F(WatchTest, RetryAfterIsPassedOn) {
  Serve([](FakeExchange& exchange) {
    exchange.Respond(429,
                     R"({"kind":"Status","message":"slow","details":{"retryAfterSeconds":2}})");
  });
  const auto watch = Watch();
  const Status end = WaitEnd();
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().code, Code::kResourceExhausted);
  EXPECT_EQ(end.error().retry_after, seconds(2));
}

TEST_F(WatchTest, SilenceIsNoticed) {
  Serve([](FakeExchange& exchange) {
    exchange.StartStream(200);
    exchange.WriteChunk(Event("ADDED", "a"));
    exchange.WaitClosed(seconds(20));
  });
  const auto watch = Watch({.silence = milliseconds(200)});
  const Status end = WaitEnd();
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().code, Code::kDeadlineExceeded);
  EXPECT_TRUE(WaitNames("a"));
}

TEST_F(WatchTest, UnauthorizedRefreshesOnce) {
  Serve([](FakeExchange& exchange) {
    if (exchange.request().headers.at("authorization") != "Bearer 2") {
      exchange.Respond(401, "{}");
      return;
    }
    exchange.StartStream(200);
    exchange.WriteChunk(Event("ADDED", "a"));
    exchange.EndStream();
  });
  const auto watch = Watch();
  EXPECT_TRUE(WaitEnd());
  EXPECT_TRUE(WaitNames("a"));
}

TEST_F(WatchTest, DestroyedStreamClosesItsConnection) {
  std::promise<bool> closed;
  Serve([&](FakeExchange& exchange) {
    exchange.StartStream(200);
    exchange.WriteChunk(Event("ADDED", "a"));
    closed.set_value(exchange.WaitClosed(seconds(10)));
  });
  auto watch = Watch();
  ASSERT_TRUE(WaitNames("a"));
  watch.reset();
  EXPECT_TRUE(closed.get_future().get());
  EXPECT_FALSE(ended());
}

TEST_F(WatchTest, ClientThatGoesEndsItsWatches) {
  Serve([](FakeExchange& exchange) {
    exchange.StartStream(200);
    exchange.WriteChunk(Event("ADDED", "a"));
    exchange.WaitClosed(seconds(20));
  });
  const auto watch = Watch();
  ASSERT_TRUE(WaitNames("a"));
  client_.reset();
  ASSERT_TRUE(ended());
  EXPECT_EQ(WaitEnd().error().code, Code::kCancelled);
}

TEST_F(WatchTest, HugeEventIsRefused) {
  Serve([](FakeExchange& exchange) {
    exchange.StartStream(200);
    const std::string piece(size_t{1} << 20, 'x');
    exchange.WriteChunk("{\"type\":\"ADDED\",\"object\":{\"x\":\"");
    while (exchange.WriteChunk(piece)) {
    }
  });
  const auto watch = Watch();
  const Status end = WaitEnd();
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().code, Code::kResourceExhausted);
  EXPECT_EQ(end.error().message, "WATCH /api/v1/pods: an event longer than 8388608 bytes");
}

TEST_F(WatchTest, ThreeHundredAtOnce) {
  constexpr int kWatches = 300;
  std::promise<void> go;
  auto released = go.get_future().share();
  std::atomic<int> open{0};
  Serve([&](FakeExchange& exchange) {
    exchange.StartStream(200);
    ++open;
    released.wait();
    exchange.WriteChunk(Event("ADDED", "x"));
    exchange.WaitClosed(seconds(30));
  });
  std::vector<std::unique_ptr<WatchStream>> watches;
  for (int i = 0; i < kWatches; ++i) {
    watches.push_back(Watch());
  }
  go.set_value();
  EXPECT_TRUE(WaitNames(std::string(kWatches, 'x')));
  EXPECT_EQ(open, kWatches);
  EXPECT_FALSE(ended());
  watches.clear();
  EXPECT_EQ(server_->accepted_connections(), kWatches);
}

}  // namespace
}  // namespace farlet::kube
