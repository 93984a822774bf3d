#include "provider/webhook/profile_store.h"

#include "tests/fakes/apiserver/fake_api_server_harness.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>

namespace farlet::webhook {
namespace {

using ::farlet::testing::ApiHarness;
using ::farlet::testing::Eventually;

std::string PathOf(const std::string& name) {
  return std::string(fargate::kProfilePath) + "/" + name;
}

TEST(ProfileStoreTest, FollowsTheClustersProfiles) {
  ApiHarness harness;
  harness.api.Put(PathOf("b"), {{"spec", {{"selectors", {{{"namespace", "x"}}}}}}});
  std::atomic<int> changes = 0;
  ProfileStore store(harness.client, harness.clock, harness.timers, {}, [&] { ++changes; });
  EXPECT_FALSE(store.synced());
  store.Start();
  ASSERT_TRUE(Eventually([&] { return store.synced() && changes == 1; }));
  harness.api.Put(PathOf("a"), {{"spec", {{"selectors", {{{"namespace", "y"}}}}}}});
  ASSERT_TRUE(Eventually([&] { return store.Current()->all().size() == 2; }));
  EXPECT_EQ(store.Current()->all()[0]->meta.name, "a");
  harness.api.Remove(PathOf("b"));
  ASSERT_TRUE(Eventually([&] { return store.Current()->all().size() == 1; }));
}

TEST(ProfileStoreTest, AProfileThatBreaksTheRulesTakesPartInNothing) {
  ApiHarness harness;
  harness.api.Put(PathOf("eks-x"), {{"spec", {{"selectors", {{{"namespace", "x"}}}}}}});
  ProfileStore store(harness.client, harness.clock, harness.timers, {}, nullptr);
  store.Start();
  ASSERT_TRUE(Eventually([&] { return store.All().size() == 1; }));
  EXPECT_TRUE(store.Current()->all().empty());
  EXPECT_EQ(store.Problem(*store.All()[0]),
            "invalid Fargate profile \"eks-x\": name should NOT start with \"eks-\"");
}

TEST(ProfileStoreTest, WhereNobodyUsesProfilesThereAreNone) {
  ApiHarness harness;
  harness.api.InjectFault({.verb = "GET", .times = 1, .status = 404});
  ProfileStore store(harness.client, harness.clock, harness.timers, {}, nullptr);
  EXPECT_FALSE(store.answered());
  store.Start();
  ASSERT_TRUE(Eventually([&] { return store.answered(); }));
  EXPECT_FALSE(store.synced());
  EXPECT_TRUE(store.Current()->all().empty());
  harness.api.Put(PathOf("a"), {{"spec", {{"selectors", {{{"namespace", "y"}}}}}}});
  EXPECT_TRUE(harness.AdvanceUntil(seconds(1), [&] { return store.Current()->all().size() == 1; }))
      << "a resource that comes later is found";
}

}  // namespace
}  // namespace farlet::webhook
