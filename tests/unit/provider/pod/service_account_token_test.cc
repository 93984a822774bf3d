#include "provider/pod/service_account_token.h"

#include "runtime/base/time_format.h"
#include "tests/fakes/clock/fake_clock.h"
#include "tests/unit/provider/pod/pod_builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

namespace farlet::pod {
namespace {

using Json = nlohmann::json;
using ::testing::HasSubstr;

// Keeps what is asked until the test answers.
class FakeClient final : public kube::Client {
 public:
  struct Request {
    std::string path;
    Json body;
    Callback<Json> done;
  };

  void Get(const std::string& /*path*/,
           const kube::Query& /*query*/,
           const kube::CallOptions& /*options*/,
           Callback<Json> /*done*/) override {}

  void Create(const std::string& path,
              const Json& object,
              const kube::CallOptions& /*options*/,
              Callback<Json> done) override {
    const std::lock_guard lock(mutex_);
    requests_.push_back({path, object, std::move(done)});
    changed_.notify_all();
  }

  void Replace(const std::string& /*path*/,
               const Json& /*object*/,
               const kube::CallOptions& /*options*/,
               Callback<Json> /*done*/) override {}

  void Patch(const std::string& /*path*/,
             kube::PatchType /*type*/,
             const Json& /*patch*/,
             const kube::CallOptions& /*options*/,
             Callback<Json> /*done*/) override {}

  void Delete(const std::string& /*path*/,
              const kube::DeleteOptions& /*what*/,
              const kube::CallOptions& /*options*/,
              Callback<Json> /*done*/) override {}

  std::unique_ptr<kube::WatchStream> Watch(const std::string& /*path*/,
                                           const kube::WatchOptions& /*options*/,
                                           kube::WatchHandlers /*handlers*/) override {
    return nullptr;
  }

  // The next request; waits for one that a timer makes.
  Request Take() {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, std::chrono::seconds(20), [&] { return !requests_.empty(); })) {
      ADD_FAILURE() << "nothing was requested";
      return {};
    }
    Request request = std::move(requests_.front());
    requests_.pop_front();
    return request;
  }

  bool idle() {
    const std::lock_guard lock(mutex_);
    return requests_.empty();
  }

 private:
  std::mutex mutex_;  // guards requests_
  std::condition_variable changed_;
  std::deque<Request> requests_;
};

class TokensTest : public ::testing::Test {
 protected:
  Json Answer(const std::string& token, seconds life) {
    return {{"spec", {{"expirationSeconds", life.count()}}},
            {"status",
             {{"token", token}, {"expirationTimestamp", FormatRfc3339(clock_.WallNow() + life)}}}};
  }

  Result<TokenValue> Look(const std::string& audience = "") {
    kube::ServiceAccountTokenProjection projection;
    projection.audience = audience;
    projection.expiration = seconds(3607);
    return tokens_->For(pod_)(projection);
  }

  void Advance(milliseconds by) {
    clock_.Advance(by);
    timers_.Poke();
  }

  // A first request is made a moment after the look.
  FakeClient::Request TakeFirst() {
    Advance(milliseconds(50));
    return client_.Take();
  }

  farlet::testing::FakeClock clock_;
  FakeClient client_;
  TimerService timers_{clock_};
  std::mutex mutex_;  // guards told_
  std::vector<std::string> told_;
  std::shared_ptr<const kube::Pod> pod_ = std::make_shared<const kube::Pod>(BuildPod());
  std::unique_ptr<ServiceAccountTokens> tokens_ = std::make_unique<ServiceAccountTokens>(
      client_, clock_, timers_, [this](const std::string& uid) {
        const std::lock_guard lock(mutex_);
        told_.push_back(uid);
      });
};

TEST_F(TokensTest, AsksForFewAtOnce) {
  for (int i = 0; i < 6; ++i) {
    EXPECT_FALSE(Look(std::to_string(i)));
  }
  Advance(milliseconds(50));
  std::vector<FakeClient::Request> requests;
  for (int i = 0; i < 4; ++i) {
    requests.push_back(client_.Take());
  }
  std::this_thread::sleep_for(milliseconds(20));
  EXPECT_TRUE(client_.idle());
  requests[0].done(Answer("t", seconds(3607)));
  const auto next = client_.Take();
  // What is forgotten while it waits leaves its turn to others.
  tokens_->Forget(pod_->meta.uid);
  next.done(MakeError(Code::kNotFound, "gone"));
  requests[1].done(MakeError(Code::kNotFound, "gone"));
  EXPECT_TRUE(client_.idle());
  EXPECT_FALSE(Look("new"));
  TakeFirst().done(Answer("new", seconds(3607)));
  EXPECT_EQ(Look("new")->token, "new");
}

TEST_F(TokensTest, RequestsOnceAndTellsWhenItIsThere) {
  EXPECT_EQ(Look().error().code, Code::kUnavailable);
  EXPECT_EQ(Look().error().code, Code::kUnavailable);
  Advance(milliseconds(49));
  EXPECT_TRUE(client_.idle()) << "the authorizer has to hear of the pod first";
  Advance(milliseconds(1));
  auto request = client_.Take();
  EXPECT_TRUE(client_.idle());
  EXPECT_EQ(request.path, "/api/v1/namespaces/shop/serviceaccounts/robot/token");
  EXPECT_EQ(request.body["spec"], Json::parse(R"({"audiences": [], "expirationSeconds": 3607,
      "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": "web", "uid": "uid-1"}})"));
  request.done(Answer("t1", seconds(3607)));
  EXPECT_EQ(Look()->token, "t1");
  EXPECT_THAT(told_, ::testing::ElementsAre("uid-1"));
  EXPECT_TRUE(client_.idle());
}

TEST_F(TokensTest, AudiencesAreKeptApart) {
  EXPECT_FALSE(Look("a"));
  auto first = TakeFirst();
  EXPECT_EQ(first.body["spec"]["audiences"], Json::array({"a"}));
  first.done(Answer("ta", seconds(3607)));
  EXPECT_FALSE(Look("b"));
  TakeFirst().done(Answer("tb", seconds(3607)));
  EXPECT_EQ(Look("a")->token, "ta");
  EXPECT_EQ(Look("b")->token, "tb");
}

TEST_F(TokensTest, RenewsAfterFourFifthsOfItsLife) {
  EXPECT_FALSE(Look());
  TakeFirst().done(Answer("t1", seconds(3600)));
  Advance(seconds(3600 * 4 / 5 - 11));
  EXPECT_TRUE(client_.idle());
  Advance(seconds(12));
  auto renewal = client_.Take();
  EXPECT_EQ(Look()->token, "t1") << "the old one serves meanwhile";
  renewal.done(Answer("t2", seconds(3600)));
  EXPECT_EQ(Look()->token, "t2");
  EXPECT_EQ(told_.size(), 2U);
}

TEST_F(TokensTest, RenewsDaily) {
  EXPECT_FALSE(Look());
  TakeFirst().done(Answer("t1", std::chrono::hours(24 * 365)));
  Advance(std::chrono::hours(24) - seconds(11));
  EXPECT_TRUE(client_.idle());
  Advance(seconds(12));
  client_.Take();
}

TEST_F(TokensTest, AnEarlyRefusalIsNoNewsALaterOneIs) {
  EXPECT_FALSE(Look());
  const Error refused = MakeError(Code::kPermissionDenied, "forbidden");
  TakeFirst().done(refused);
  EXPECT_EQ(Look().error().code, Code::kUnavailable);
  Advance(seconds(2));
  client_.Take().done(refused);
  EXPECT_EQ(Look().error().code, Code::kPermissionDenied);
  Advance(seconds(2));
  Error away = MakeError(Code::kUnavailable, "connection refused");
  away.retryable = true;
  client_.Take().done(away);
  EXPECT_EQ(Look().error().code, Code::kUnavailable);
}

TEST_F(TokensTest, RetriesWithBackoffAndSaysWhy) {
  EXPECT_FALSE(Look());
  Error refused = MakeError(Code::kPermissionDenied, "forbidden");
  TakeFirst().done(refused);
  const auto failed = Look();
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, Code::kUnavailable);
  EXPECT_EQ(failed.error().message,
            "failed to fetch token of service account shop/robot: forbidden");
  EXPECT_TRUE(client_.idle());
  Advance(seconds(2));
  client_.Take().done(Json::parse(R"({"status": {}})"));
  EXPECT_THAT(Look().error().message, HasSubstr("no status.token"));
  Advance(seconds(3));
  client_.Take().done(Answer("t", seconds(600)));
  EXPECT_EQ(Look()->token, "t");
}

TEST_F(TokensTest, AnExpiredTokenIsNotServed) {
  EXPECT_FALSE(Look());
  TakeFirst().done(Answer("t1", seconds(600)));
  Advance(seconds(601));
  client_.Take().done(MakeError(Code::kUnavailable, "connection refused"));
  ASSERT_FALSE(Look());
  EXPECT_THAT(Look().error().message, HasSubstr("connection refused"));
}

TEST_F(TokensTest, ForgottenPodsHaveNone) {
  EXPECT_FALSE(Look());
  auto late = TakeFirst();
  tokens_->Forget("uid-1");
  late.done(Answer("late", seconds(600)));
  EXPECT_TRUE(told_.empty());
  EXPECT_FALSE(Look());
  TakeFirst().done(Answer("new", seconds(600)));
  EXPECT_EQ(Look()->token, "new");
  tokens_->Forget("other");
  EXPECT_TRUE(Look());
}

TEST_F(TokensTest, MayGoAwayWithARequestInFlight) {
  EXPECT_FALSE(Look());
  auto late = TakeFirst();
  const TokenLookup lookup = tokens_->For(pod_);
  tokens_.reset();
  late.done(Answer("late", seconds(600)));
  EXPECT_EQ(lookup({}).error().code, Code::kCancelled);
  EXPECT_TRUE(told_.empty());
}

}  // namespace
}  // namespace farlet::pod
