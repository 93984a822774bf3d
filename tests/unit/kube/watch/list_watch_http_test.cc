#include "kube/client/make_client.h"
#include "kube/watch/list_watch.h"
#include "kube/watch/object_cache.h"
#include "tests/fakes/apiserver/fake_api_server.h"
#include "tests/fakes/apiserver/fake_api_server_harness.h"

#include <gtest/gtest.h>

#include <mutex>
#include <set>

// The list-watch through the real client and a real socket.
namespace farlet::kube {
namespace {

using ::farlet::testing::Eventually;
using ::farlet::testing::FakeApiServer;

std::string PodPath(const std::string& name) {
  return "/api/v1/namespaces/default/pods/" + name;
}

class NoCredentials final : public Credentials {
 public:
  void Get(Callback<CredentialPtr> done) override { done(std::make_shared<const Credential>()); }

  void Invalidate(uint64_t /*generation*/) override {}
};

class HttpListWatchTest : public ::testing::Test {
 protected:
  HttpListWatchTest() {
    ClusterAccess access;
    access.server = server_.url();
    access.credentials = std::make_shared<NoCredentials>();
    client_ = MakeClient(access, clock_, timers_, {.qps = 1000, .burst = 1000}).value();
    ListWatchOptions options;
    options.path = "/api/v1/pods";
    options.backoff = {.initial = milliseconds(20), .max = milliseconds(100)};
    watch_ = std::make_unique<ListWatch>(*client_, clock_, timers_, options,
                                         [this](const ListWatch::Change& change) {
                                           const std::lock_guard lock(mutex_);
                                           if (change.kind == ListWatch::Change::Kind::kReplace) {
                                             pods_.clear();
                                           }
                                           for (const Json& pod : change.objects) {
                                             const std::string name = pod["metadata"]["name"];
                                             if (change.kind == ListWatch::Change::Kind::kDelete) {
                                               pods_.erase(name);
                                             } else {
                                               pods_.insert(name);
                                             }
                                           }
                                         });
  }

  bool Has(const std::set<std::string>& names) {
    return Eventually([&] {
      const std::lock_guard lock(mutex_);
      return pods_ == names;
    });
  }

  void StartSynced() {
    watch_->Start();
    ASSERT_TRUE(Eventually([&] { return server_.api().OpenWatches() == 1; }));
  }

  RealClock clock_;
  TimerService timers_{clock_};
  FakeApiServer server_;
  std::unique_ptr<Client> client_;
  std::mutex mutex_;  // guards pods_
  std::set<std::string> pods_;
  std::unique_ptr<ListWatch> watch_;
};

TEST_F(HttpListWatchTest, Follows) {
  server_.api().Put(PodPath("a"), Json::object());
  StartSynced();
  server_.api().Put(PodPath("b"), Json::object());
  server_.api().Remove(PodPath("a"));
  EXPECT_TRUE(Has({"b"}));
}

TEST_F(HttpListWatchTest, ResumesAfterLostConnections) {
  StartSynced();
  for (const char* name : {"a", "b", "c"}) {
    server_.DropConnections(true);
    server_.api().Put(PodPath(name), Json::object());
    ASSERT_TRUE(Eventually([&] {
      const std::lock_guard lock(mutex_);
      return pods_.contains(name);
    }));
  }
  EXPECT_EQ(server_.api().Requests("LIST", "pods"), 1);
}

TEST_F(HttpListWatchTest, ComesBackWithTheServer) {
  server_.api().Put(PodPath("a"), Json::object());
  StartSynced();
  server_.Stop();
  server_.api().Remove(PodPath("a"));
  server_.api().Put(PodPath("b"), Json::object());
  server_.api().Compact();
  server_.Start();
  EXPECT_TRUE(Has({"b"}));
}

TEST_F(HttpListWatchTest, FollowsHundredsOfSingleObjects) {
  StartSynced();
  const auto cache = MakeObjectCache(*client_, clock_, timers_, [](const ObjectKey&) {});
  std::vector<ObjectKey> keys;
  for (int i = 0; i < 200; ++i) {
    keys.push_back({ObjectKind::kSecret, "default", "s" + std::to_string(i)});
    server_.api().Put("/api/v1/namespaces/default/secrets/" + keys.back().name, Json::object());
  }
  cache->SetReferences("pod", keys);
  for (const ObjectKey& key : keys) {
    EXPECT_TRUE(Eventually([&] { return cache->Get(key).has_value(); }));
  }
  EXPECT_TRUE(Eventually([&] { return server_.api().OpenWatches() == 201; }));
}

}  // namespace
}  // namespace farlet::kube
