#include "kube/watch/object_cache.h"

#include "tests/fakes/apiserver/fake_api_server_harness.h"

#include <gtest/gtest.h>

#include <map>
#include <mutex>

namespace farlet::kube {
namespace {

using ::farlet::testing::ApiHarness;
using ::farlet::testing::Eventually;

const ObjectKey kRootCa{ObjectKind::kConfigMap, "default", "kube-root-ca.crt"};
const ObjectKey kPassword{ObjectKind::kSecret, "default", "password"};

std::string Path(const ObjectKey& key) {
  return "/api/v1/namespaces/" + key.object_namespace +
         (key.kind == ObjectKind::kSecret ? "/secrets/" : "/configmaps/") + key.name;
}

class ObjectCacheTest : public ::testing::Test {
 protected:
  ObjectCacheTest()
      : cache_(MakeObjectCache(
            harness_.client, harness_.clock, harness_.timers, [this](const ObjectKey& key) {
              const std::lock_guard lock(mutex_);
              ++told_[key];
            })) {}

  int Told(const ObjectKey& key) {
    const std::lock_guard lock(mutex_);
    return told_[key];
  }

  std::string Value(const ObjectKey& key) {
    const ObjectCache::Lookup lookup = cache_->Get(key);
    return lookup ? (**lookup)["data"].value("k", "") : std::string(CodeName(lookup.error().code));
  }

  bool Becomes(const ObjectKey& key, const std::string& value) {
    return Eventually([&] { return Value(key) == value; });
  }

  ApiHarness harness_;
  std::mutex mutex_;  // guards told_
  std::map<ObjectKey, int> told_;
  std::unique_ptr<ObjectCache> cache_;
};

TEST_F(ObjectCacheTest, FollowsWhatPodsReferTo) {
  harness_.api.Put(Path(kRootCa), {{"data", {{"k", "one"}}}});
  EXPECT_EQ(Value(kRootCa), "unavailable");
  cache_->SetReferences("pod-1", {kRootCa, kPassword, kRootCa});
  EXPECT_TRUE(Becomes(kRootCa, "one"));
  EXPECT_TRUE(Becomes(kPassword, "not found"));
  harness_.api.Put(Path(kRootCa), {{"data", {{"k", "two"}}}});
  EXPECT_TRUE(Becomes(kRootCa, "two"));
  harness_.api.Put(Path(kPassword), {{"data", {{"k", "cA=="}}}});
  EXPECT_TRUE(Becomes(kPassword, "cA=="));
  harness_.api.Remove(Path(kRootCa));
  EXPECT_TRUE(Becomes(kRootCa, "not found"));
  EXPECT_TRUE(Eventually([&] { return Told(kRootCa) == 3 && Told(kPassword) == 2; }));
}

TEST_F(ObjectCacheTest, AsksForOneObjectByName) {
  cache_->SetReferences("pod-1", {kPassword});
  ASSERT_TRUE(harness_.api.WaitForRequests("WATCH", "secrets", 1));
  for (const auto& call : harness_.api.History()) {
    EXPECT_EQ(call.path, "/api/v1/namespaces/default/secrets");
    EXPECT_EQ(call.query.at("fieldSelector"), "metadata.name=password");
  }
}

TEST_F(ObjectCacheTest, KeepsAnObjectHalfAMinuteAfterItsLastReference) {
  harness_.api.Put(Path(kRootCa), {{"data", {{"k", "one"}}}});
  cache_->SetReferences("pod-1", {kRootCa});
  cache_->SetReferences("pod-2", {kRootCa});
  ASSERT_TRUE(Becomes(kRootCa, "one"));
  cache_->SetReferences("pod-1", {});
  harness_.Advance(seconds(60));
  cache_->SetReferences("pod-2", {});
  harness_.Advance(seconds(29));
  cache_->SetReferences("pod-3", {kRootCa});
  harness_.Advance(seconds(60));
  EXPECT_EQ(Value(kRootCa), "one");
  EXPECT_EQ(harness_.api.Requests("LIST", "configmaps"), 1);
  cache_->SetReferences("pod-3", {});
  harness_.Advance(seconds(30));
  EXPECT_TRUE(Becomes(kRootCa, "unavailable"));
  EXPECT_TRUE(Eventually([&] { return harness_.api.OpenWatches() == 0; }));
}

TEST_F(ObjectCacheTest, StopsWatchingWhatIsImmutable) {
  harness_.api.Put(Path(kRootCa), {{"data", {{"k", "one"}}}, {"immutable", true}});
  cache_->SetReferences("pod-1", {kRootCa});
  ASSERT_TRUE(Becomes(kRootCa, "one"));
  ASSERT_TRUE(Eventually([&] {
    harness_.timers.Poke();
    return harness_.api.Requests("LIST", "configmaps") == 1 && harness_.api.OpenWatches() == 0;
  }));
  harness_.api.Remove(Path(kRootCa));
  EXPECT_EQ(Value(kRootCa), "one");
}

TEST_F(ObjectCacheTest, SaysWhyAndKeepsAskingWhenRefused) {
  harness_.api.Put(Path(kPassword), {{"data", {{"k", "one"}}}});
  harness_.api.InjectFault(
      {.path = "secrets", .times = 7, .status = 403, .reason = "Forbidden", .message = "no path"});
  cache_->SetReferences("pod-1", {kPassword});
  ASSERT_TRUE(Eventually([&] { return Told(kPassword) == 1; }));
  EXPECT_EQ(Value(kPassword), "unavailable") << "the authorizer may lag";
  EXPECT_NE(cache_->Get(kPassword).error().message.find("no path"), std::string::npos);
  ASSERT_TRUE(harness_.AdvanceUntil(milliseconds(50),
                                    [&] { return Value(kPassword) == "permission denied"; }));
  EXPECT_TRUE(harness_.AdvanceUntil(milliseconds(50), [&] { return Value(kPassword) == "one"; }));
}

TEST_F(ObjectCacheTest, KeepsWhatItReadWhileTheServerIsAway) {
  harness_.api.Put(Path(kPassword), {{"data", {{"k", "one"}}}});
  cache_->SetReferences("pod-1", {kPassword});
  ASSERT_TRUE(Becomes(kPassword, "one"));
  ASSERT_TRUE(Eventually([&] { return harness_.api.OpenWatches() == 1; }));
  harness_.api.InjectFault({.times = -1, .status = 503});
  harness_.client.BreakWatches();
  ASSERT_TRUE(harness_.AdvanceUntil(
      milliseconds(100), [&] { return harness_.api.Requests("WATCH", "secrets") >= 4; }));
  EXPECT_EQ(Value(kPassword), "one");
}

TEST_F(ObjectCacheTest, HoldsHundredsOfObjects) {
  std::vector<ObjectKey> keys;
  for (int i = 0; i < 300; ++i) {
    const ObjectKey key{ObjectKind::kSecret, "default", "s" + std::to_string(i)};
    harness_.api.Put(Path(key), {{"data", {{"k", "v"}}}});
    keys.push_back(key);
  }
  cache_->SetReferences("pod-1", keys);
  EXPECT_TRUE(Eventually([&] { return harness_.api.OpenWatches() == 300; }));
  for (const ObjectKey& key : keys) {
    EXPECT_TRUE(Becomes(key, "v"));
  }
  cache_.reset();
  EXPECT_EQ(harness_.api.OpenWatches(), 0);
}

}  // namespace
}  // namespace farlet::kube
