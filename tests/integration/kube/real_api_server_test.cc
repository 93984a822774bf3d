// The client against a real API server: the cluster that KUBECONFIG points at.
#include "kube/client/make_client.h"

#include <gtest/gtest.h>

#include <unistd.h>

#include <condition_variable>
#include <cstdlib>

namespace farlet::kube {
namespace {

class RealApiServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* path = std::getenv("KUBECONFIG");
    if (path == nullptr) {
      GTEST_SKIP() << "KUBECONFIG is not set";
    }
    auto access = LoadKubeconfig(path, clock_);
    ASSERT_TRUE(access) << access.error().message;
    auto client = MakeClient(*access, clock_, timers_);
    ASSERT_TRUE(client) << client.error().message;
    client_ = std::move(*client);
    name_ = "kube-integration-" + std::to_string(::getpid());
    path_ = ResourcePath("v1", "configmaps", "default", name_);
    maps_ = ResourcePath("v1", "configmaps", "default", "");
  }

  void TearDown() override {
    if (client_) {
      static_cast<void>(Delete({}));
    }
  }

  Result<Json> Get(const std::string& path, const Query& query = {}) {
    return Await<Json>([&](Callback<Json> done) { client_->Get(path, query, {}, done); });
  }

  Result<Json> Create(const Json& data) {
    const Json object{{"apiVersion", "v1"},
                      {"kind", "ConfigMap"},
                      {"metadata", {{"name", name_}}},
                      {"data", data}};
    return Await<Json>([&](Callback<Json> done) { client_->Create(maps_, object, {}, done); });
  }

  Result<Json> Patch(PatchType type, const Json& patch) {
    return Await<Json>(
        [&](Callback<Json> done) { client_->Patch(path_, type, patch, {}, std::move(done)); });
  }

  Result<Json> Delete(const DeleteOptions& what) {
    return Await<Json>([&](Callback<Json> done) { client_->Delete(path_, what, {}, done); });
  }

  RealClock clock_;
  TimerService timers_{clock_};
  std::unique_ptr<Client> client_;
  std::string name_;
  std::string path_;
  std::string maps_;
};

TEST_F(RealApiServerTest, LifeOfAnObject) {
  const auto missing = Get(path_);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Code::kNotFound) << missing.error().message;
  EXPECT_EQ(missing.error().reason, "NotFound");

  auto created = Create({{"a", "1"}});
  ASSERT_TRUE(created) << created.error().message;
  EXPECT_EQ(Create(Json::object()).error().code, Code::kAlreadyExists);

  EXPECT_EQ((*Patch(PatchType::kStrategicMerge, {{"data", {{"b", "2"}}}}))["data"],
            Json({{"a", "1"}, {"b", "2"}}));
  EXPECT_EQ((*Patch(PatchType::kMerge, {{"data", {{"a", nullptr}}}}))["data"], Json({{"b", "2"}}));
  const Json json_patch = Json::array({{{"op", "add"}, {"path", "/data/c"}, {"value", "3"}}});
  EXPECT_EQ((*Patch(PatchType::kJson, json_patch))["data"], Json({{"b", "2"}, {"c", "3"}}));

  (*created)["data"]["d"] = "4";
  const auto stale = Await<Json>(
      [&](Callback<Json> done) { client_->Replace(path_, *created, {}, std::move(done)); });
  ASSERT_FALSE(stale);
  EXPECT_EQ(stale.error().code, Code::kAborted);
  EXPECT_EQ(stale.error().reason, "Conflict");

  const auto wrong_uid = Delete({.precondition_uid = "not-its-uid"});
  ASSERT_FALSE(wrong_uid);
  EXPECT_EQ(wrong_uid.error().code, Code::kAborted);
  const auto gone = Delete({.precondition_uid = (*created)["metadata"]["uid"]});
  EXPECT_TRUE(gone) << gone.error().message;
  EXPECT_EQ(Get(path_).error().code, Code::kNotFound);
}

TEST_F(RealApiServerTest, InvalidObjectsAreRefusedWithTheReason) {
  const auto refused = Create({{"not a key!", "1"}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kInvalidArgument);
  EXPECT_EQ(refused.error().reason, "Invalid");
}

TEST_F(RealApiServerTest, Watch) {
  const auto list = Get(maps_, {{"limit", "1"}});
  ASSERT_TRUE(list) << list.error().message;
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::string> types;
  const auto watch = client_->Watch(
      maps_,
      {.query = {{"fieldSelector", "metadata.name=" + name_},
                 {"resourceVersion", (*list)["metadata"]["resourceVersion"]}}},
      {.on_event =
           [&](Json event) {
             const std::lock_guard lock(mutex);
             types.push_back(event["type"]);
             changed.notify_all();
           },
       .on_end = [](const Status& end) { EXPECT_TRUE(end) << end.error().message; }});
  ASSERT_TRUE(Create({{"a", "1"}}));
  ASSERT_TRUE(Patch(PatchType::kMerge, {{"data", {{"a", "2"}}}}));
  ASSERT_TRUE(Delete({}));
  std::unique_lock lock(mutex);
  const std::vector<std::string> all{"ADDED", "MODIFIED", "DELETED"};
  EXPECT_TRUE(changed.wait_for(lock, seconds(10), [&] { return types == all; }));
}

TEST_F(RealApiServerTest, ExpiredResourceVersion) {
  std::mutex mutex;
  std::condition_variable changed;
  std::optional<Status> end;
  const auto watch =
      client_->Watch(maps_, {.query = {{"resourceVersion", "1"}, {"timeoutSeconds", "2"}}},
                     {.on_event = [](const Json&) {},
                      .on_end =
                          [&](Status status) {
                            const std::lock_guard lock(mutex);
                            end = std::move(status);
                            changed.notify_all();
                          }});
  std::unique_lock lock(mutex);
  ASSERT_TRUE(changed.wait_for(lock, seconds(20), [&] { return end.has_value(); }));
  // A young cluster still has it: then the server closes in the normal way.
  if (!*end) {
    EXPECT_EQ(end->error().code, Code::kOutOfRange) << end->error().message;
  }
}

TEST_F(RealApiServerTest, FortyWatchesAndRequestsSideBySide) {
  std::atomic<int> ended{0};
  std::vector<std::unique_ptr<WatchStream>> watches;
  for (int i = 0; i < 40; ++i) {
    watches.push_back(client_->Watch(
        maps_, {.query = {{"fieldSelector", "metadata.name=kube-root-ca.crt"}}},
        {.on_event = [](const Json&) {}, .on_end = [&](const Status&) { ++ended; }}));
  }
  for (int i = 0; i < 20; ++i) {
    EXPECT_TRUE(Get(ResourcePath("v1", "namespaces", "", "default")));
  }
  EXPECT_EQ(ended, 0);
  watches.clear();
}

}  // namespace
}  // namespace farlet::kube
