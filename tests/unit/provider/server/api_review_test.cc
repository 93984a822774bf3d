#include "provider/server/api_review.h"

#include <gtest/gtest.h>

#include <optional>
#include <utility>

namespace farlet::server::testing {
namespace {

using kube::Json;

// Answers every Create with one canned answer and remembers what was asked.
class CannedClient final : public kube::Client {
 public:
  void Create(const std::string& path,
              const Json& object,
              const kube::CallOptions& /*options*/,
              Callback<Json> done) override {
    path_ = path;
    object_ = object;
    done(answer_);
  }

  void Get(const std::string& /*path*/,
           const kube::Query& /*query*/,
           const kube::CallOptions& /*options*/,
           Callback<Json> done) override {
    done(Internal("not asked for"));
  }

  void Replace(const std::string& /*path*/,
               const Json& /*object*/,
               const kube::CallOptions& /*options*/,
               Callback<Json> done) override {
    done(Internal("not asked for"));
  }

  void Patch(const std::string& /*path*/,
             kube::PatchType /*type*/,
             const Json& /*patch*/,
             const kube::CallOptions& /*options*/,
             Callback<Json> done) override {
    done(Internal("not asked for"));
  }

  void Delete(const std::string& /*path*/,
              const kube::DeleteOptions& /*what*/,
              const kube::CallOptions& /*options*/,
              Callback<Json> done) override {
    done(Internal("not asked for"));
  }

  std::unique_ptr<kube::WatchStream> Watch(const std::string& /*path*/,
                                           const kube::WatchOptions& /*options*/,
                                           kube::WatchHandlers /*handlers*/) override {
    return nullptr;
  }

  Result<Json> answer_ = Json::object();
  std::string path_;
  Json object_;
};

Result<std::optional<User>> Review(CannedClient& client, const std::string& token) {
  std::optional<Result<std::optional<User>>> result;
  MakeTokenReview(client)(token, [&](Result<std::optional<User>> answer) { result = answer; });
  return *result;
}

Result<bool> Review(CannedClient& client, const User& user) {
  std::optional<Result<bool>> result;
  MakeSubjectAccessReview(client, "node-1")(user, "get", "proxy",
                                            [&](Result<bool> answer) { result = answer; });
  return *result;
}

TEST(ApiReviewTest, AsksWhoATokenBelongsTo) {
  CannedClient client;
  client.answer_ = Json::parse(R"({"status": {"authenticated": true, "user": {
      "username": "alice", "uid": "7", "groups": ["devs", "ops"], "extra": {"k": ["v"]}}}})");
  const auto user = Review(client, "secret");
  ASSERT_TRUE(user && *user);
  EXPECT_EQ((*user)->name, "alice");
  EXPECT_EQ((*user)->uid, "7");
  EXPECT_EQ((*user)->groups, (std::vector<std::string>{"devs", "ops"}));
  EXPECT_EQ((*user)->extra.at("k"), std::vector<std::string>{"v"});
  EXPECT_EQ(client.path_, "/apis/authentication.k8s.io/v1/tokenreviews");
  EXPECT_EQ(client.object_, Json::parse(R"({"apiVersion": "authentication.k8s.io/v1",
      "kind": "TokenReview", "spec": {"token": "secret"}})"));
}

TEST(ApiReviewTest, AdmitsNobodyOnOtherAnswers) {
  CannedClient client;
  for (const char* answer : {R"({"status": {"authenticated": false}})",
                             R"({"status": {"authenticated": "true"}})", R"({"status": {}})"}) {
    client.answer_ = Json::parse(answer);
    const auto user = Review(client, "secret");
    ASSERT_TRUE(user) << answer;
    EXPECT_FALSE(*user) << answer;
  }
  for (const char* answer : {"{}", "[]", "null", R"({"status": {"authenticated": true}})",
                             R"({"status": {"authenticated": true, "user": {"username": 5}}})"}) {
    client.answer_ = Json::parse(answer);
    EXPECT_EQ(Review(client, "secret").error().code, Code::kInternal) << answer;
  }
  client.answer_ = Unavailable("down");
  EXPECT_EQ(Review(client, "secret").error().message, "down");
}

TEST(ApiReviewTest, AsksWhetherAUserMay) {
  CannedClient client;
  client.answer_ = Json::parse(R"({"status": {"allowed": true}})");
  const User user{.name = "bob", .uid = "8", .groups = {"g"}, .extra = {{"k", {"v"}}}};
  EXPECT_EQ(Review(client, user).value(), true);
  EXPECT_EQ(client.path_, "/apis/authorization.k8s.io/v1/subjectaccessreviews");
  EXPECT_EQ(client.object_, Json::parse(R"({"apiVersion": "authorization.k8s.io/v1",
      "kind": "SubjectAccessReview", "spec": {"user": "bob", "uid": "8", "groups": ["g"],
      "extra": {"k": ["v"]}, "resourceAttributes": {"verb": "get", "version": "v1",
      "resource": "nodes", "subresource": "proxy", "name": "node-1"}}})"));
  client.answer_ = Json::parse(R"({"status": {"allowed": false}})");
  EXPECT_EQ(Review(client, user).value(), false);
  client.answer_ = Json::parse(R"({"status": {"allowed": 1}})");
  EXPECT_EQ(Review(client, user).error().code, Code::kInternal);
}

}  // namespace
}  // namespace farlet::server::testing
