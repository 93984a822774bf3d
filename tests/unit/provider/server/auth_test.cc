#include "provider/server/authentication.h"
#include "provider/server/authorization.h"
#include "tests/unit/provider/server/server_fixture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

namespace farlet::server::testing {
namespace {

using ::testing::ElementsAre;

class AuthTest : public ServerTest {
 protected:
  AuthTest() {
    token_review_ = [this](const std::string& token, Callback<std::optional<User>> done) {
      ++token_reviews_;
      if (token == "broken") {
        done(Unavailable("no API server"));
      } else if (token == "good") {
        done(User{.name = "alice", .uid = "1", .groups = {"devs"}});
      } else {
        done(std::optional<User>());
      }
    };
    access_review_ = [this](const User& user, const std::string& verb,
                            const std::string& subresource, Callback<bool> done) {
      {
        const std::lock_guard lock(mutex_);
        asked_.push_back(verb + " " + subresource);
        last_user_ = user;
      }
      if (broken_) {
        done(Unavailable("no API server"));
      } else {
        done(allowed_ == "*" || allowed_ == subresource);
      }
    };
  }

  std::vector<std::string> TakeAsked() {
    const std::lock_guard lock(mutex_);
    return std::exchange(asked_, {});
  }

  HttpAnswer FetchAs(const ClientOptions& client,
                     std::string_view path,
                     std::string_view headers = {}) {
    return Connect(client)->Fetch(path, headers);
  }

  std::atomic<int> token_reviews_{0};
  std::string allowed_ = "*";
  bool broken_ = false;
  std::mutex mutex_;  // guards what follows
  std::vector<std::string> asked_;
  User last_user_;
};

TEST_F(AuthTest, RefusesWhoeverIsNotKnown) {
  Start();
  const ClientOptions nobody;
  HttpAnswer answer = FetchAs(nobody, "/healthz");
  EXPECT_EQ(answer.status, 401);
  EXPECT_EQ(answer.body, "Unauthorized");
  EXPECT_EQ(FetchAs(nobody, "/healthz", "Authorization: Bearer bad\r\n").status, 401);
  EXPECT_EQ(FetchAs(nobody, "/healthz", "Authorization: Bearer broken\r\n").status, 401);
  EXPECT_EQ(FetchAs(nobody, "/healthz", "Authorization: Bearer \r\n").status, 401);
  EXPECT_EQ(FetchAs(nobody, "/healthz", "Authorization: Basic Z29vZA==\r\n").status, 401);
  EXPECT_EQ(FetchAs(nobody, "/nothing").status, 401);
  EXPECT_THAT(TakeAsked(), ElementsAre());
}

TEST_F(AuthTest, KnowsClientCertificates) {
  Start();
  EXPECT_EQ(Fetch("/pods").status, 404);
  EXPECT_EQ(last_user_.name, "admin");
  EXPECT_THAT(last_user_.groups, ElementsAre("system:masters", "system:authenticated"));
  // Another authority, an expired one, and one that is not valid yet.
  const farlet::testing::FakeCa other;
  using std::chrono::hours;
  for (const auto& certificate :
       {other.Issue({.common_name = "admin"}),
        ca_.Issue({.common_name = "admin", .not_before = hours(-2), .not_after = hours(-1)}),
        ca_.Issue({.common_name = "admin", .not_before = hours(1), .not_after = hours(2)})}) {
    EXPECT_EQ(FetchAs({.certificate = certificate}, "/healthz").status, 401);
    // A good token makes up for it.
    EXPECT_EQ(
        FetchAs({.certificate = certificate}, "/healthz", "Authorization: Bearer good\r\n").status,
        200);
  }
}

TEST_F(AuthTest, ReadsTheClientCaAgain) {
  Start();
  const farlet::testing::FakeCa other("other-ca");
  const ClientOptions stranger{.certificate = other.Issue({.common_name = "bob"})};
  EXPECT_EQ(FetchAs(stranger, "/healthz").status, 401);
  auto open = Connect(stranger);
  folder_.Write("ca.crt", "garbage in the file");
  clock_.Advance(std::chrono::seconds(2));
  EXPECT_EQ(Fetch("/healthz").status, 200) << "the last good bundle stays";
  folder_.Write("ca.crt", ca_.certificate_pem() + other.certificate_pem());
  clock_.Advance(std::chrono::seconds(2));
  EXPECT_EQ(FetchAs(stranger, "/healthz").status, 200);
  EXPECT_EQ(open->Fetch("/healthz").status, 200);
  EXPECT_EQ(Fetch("/healthz").status, 200);
}

TEST_F(AuthTest, RemembersTokens) {
  Start();
  const ClientOptions nobody;
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(FetchAs(nobody, "/healthz", "authorization: bearer good\r\n").status, 200);
  }
  EXPECT_EQ(token_reviews_, 1);
  EXPECT_THAT(last_user_.groups, ElementsAre("devs", "system:authenticated"));
  clock_.Advance(std::chrono::seconds(119));
  FetchAs(nobody, "/healthz", "Authorization: Bearer good\r\n");
  EXPECT_EQ(token_reviews_, 1);
  clock_.Advance(std::chrono::seconds(2));
  FetchAs(nobody, "/healthz", "Authorization: Bearer good\r\n");
  EXPECT_EQ(token_reviews_, 2);
  // Failures to ask are not remembered.
  FetchAs(nobody, "/healthz", "Authorization: Bearer broken\r\n");
  FetchAs(nobody, "/healthz", "Authorization: Bearer broken\r\n");
  EXPECT_EQ(token_reviews_, 4);
}

TEST_F(AuthTest, AnonymousOnlyWhenAllowed) {
  options_.authentication.anonymous = true;
  Start();
  EXPECT_EQ(FetchAs({}, "/healthz").status, 200);
  EXPECT_EQ(last_user_.name, "system:anonymous");
  EXPECT_THAT(last_user_.groups, ElementsAre("system:unauthenticated"));
  EXPECT_EQ(FetchAs({}, "/healthz", "Authorization: Bearer bad\r\n").status, 401);
}

TEST_F(AuthTest, AsksForTheSubresourceOfThePath) {
  allowed_ = "nothing";
  Start();
  EXPECT_EQ(Fetch("/stats/summary").status, 403);
  EXPECT_THAT(TakeAsked(), ElementsAre("get stats"));
  EXPECT_EQ(Fetch("/pods").status, 403);
  EXPECT_THAT(TakeAsked(), ElementsAre("get pods", "get proxy"));
  // What was denied is remembered for half a minute.
  EXPECT_EQ(Fetch("/runningpods/").status, 403);
  EXPECT_EQ(Fetch("/exec/ns/pod/c").status, 403);
  EXPECT_THAT(TakeAsked(), ElementsAre());
  auto client = Connect();
  client->Send("POST /exec/ns/pod/c HTTP/1.1\r\nHost: n\r\n\r\n");
  const HttpAnswer answer = client->Read();
  EXPECT_EQ(answer.status, 403);
  EXPECT_EQ(answer.body,
            "Forbidden (user=admin, verb=create, resource=nodes, subresource(s)=[proxy])\n");
  EXPECT_THAT(TakeAsked(), ElementsAre("create proxy"));
}

TEST_F(AuthTest, AnyOfTheSubresourcesIsEnough) {
  handlers_.pods = [](Callback<std::string> done) { done("{}"); };
  allowed_ = "proxy";
  Start();
  EXPECT_EQ(Fetch("/pods").status, 200);
  EXPECT_THAT(TakeAsked(), ElementsAre("get pods", "get proxy"));
  EXPECT_EQ(Fetch("/pods").status, 200);
  EXPECT_THAT(TakeAsked(), ElementsAre());
  clock_.Advance(std::chrono::seconds(31));
  EXPECT_EQ(Fetch("/pods").status, 200);
  EXPECT_THAT(TakeAsked(), ElementsAre("get pods"));
  clock_.Advance(std::chrono::seconds(300));
  EXPECT_EQ(Fetch("/pods").status, 200);
  EXPECT_THAT(TakeAsked(), ElementsAre("get pods", "get proxy"));
}

TEST_F(AuthTest, SaysThatNobodyCouldBeAsked) {
  broken_ = true;
  Start();
  const HttpAnswer answer = Fetch("/metrics");
  EXPECT_EQ(answer.status, 500);
  EXPECT_EQ(answer.body,
            "Authorization error (user=admin, verb=get, resource=nodes, subresource=metrics)");
}

TEST(SubresourcesTest, FollowTheTable) {
  EXPECT_THAT(Subresources("/pods"), ElementsAre("pods", "proxy"));
  EXPECT_THAT(Subresources("/runningpods"), ElementsAre("pods", "proxy"));
  EXPECT_THAT(Subresources("/healthz"), ElementsAre("healthz", "proxy"));
  EXPECT_THAT(Subresources("/healthz/log"), ElementsAre("healthz", "proxy"));
  EXPECT_THAT(Subresources("/configz"), ElementsAre("configz", "proxy"));
  EXPECT_THAT(Subresources("/stats/summary"), ElementsAre("stats"));
  EXPECT_THAT(Subresources("/statsx"), ElementsAre("proxy"));
  EXPECT_THAT(Subresources("/farlet/cost"), ElementsAre("proxy"));
  EXPECT_THAT(Subresources("/checkpoint/a/b/c"), ElementsAre("checkpoint"));
  EXPECT_THAT(Subresources("/statusz"), ElementsAre("statusz"));
  EXPECT_THAT(Subresources("/"), ElementsAre("proxy"));
  EXPECT_EQ(ApiVerb("PATCH"), "patch");
  EXPECT_EQ(ApiVerb("BREW"), "");
}

TEST(ExpiringCacheTest, IsBoundedByLeastRecentUse) {
  const farlet::testing::FakeClock clock;
  ExpiringCache<int> cache(clock, 2);
  cache.Put("a", 1, std::chrono::seconds(10));
  cache.Put("b", 2, std::chrono::seconds(10));
  EXPECT_EQ(cache.Get("a"), 1);
  cache.Put("c", 3, std::chrono::seconds(10));
  EXPECT_EQ(cache.Get("a"), 1);
  EXPECT_EQ(cache.Get("b"), std::nullopt);
  EXPECT_EQ(cache.Get("c"), 3);
}

}  // namespace
}  // namespace farlet::server::testing
