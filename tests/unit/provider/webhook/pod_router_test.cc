#include "provider/webhook/pod_router.h"

#include "tests/fakes/apiserver/fake_api_server_harness.h"

#include <gtest/gtest.h>

#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace farlet::webhook {
namespace {

using ::farlet::testing::ApiHarness;
using ::farlet::testing::Eventually;
using kube::Json;

class EventLog final : public kube::EventRecorder {
 public:
  void Record(const kube::ObjectReference& object,
              kube::EventType /*type*/,
              std::string_view reason,
              std::string_view message) override {
    const std::lock_guard lock(mutex_);
    events_.push_back(object.name + " " + std::string(reason) + ": " + std::string(message));
  }

  void SetResting(bool /*resting*/) override {}

  std::vector<std::string> events() const {
    const std::lock_guard lock(mutex_);
    return events_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> events_;
};

std::string PathOf(const std::string& name) {
  return "/api/v1/namespaces/dev/pods/" + name;
}

class PodRouterTest : public ::testing::Test {
 protected:
  PodRouterTest()
      : router_(harness_.client, harness_.clock, harness_.timers, events_, {.profiles = [this] {
                  const std::lock_guard lock(mutex_);
                  return profiles_;
                }}) {}

  void UseProfile() {
    fargate::Profile profile;
    profile.meta.name = "fp";
    profile.selectors = {{.object_namespace = "dev"}};
    {
      const std::lock_guard lock(mutex_);
      profiles_ = std::make_shared<const fargate::ProfileSet>(
          std::vector{fargate::ProfilePtr(std::make_shared<const fargate::Profile>(profile))});
    }
    router_.LookAgain();
  }

  void PutPod(const std::string& name, const std::string& kind) {
    Json pod{{"metadata", {{"uid", "uid-" + name}}},
             {"spec", {{"containers", {{{"name", "c"}}}}}},
             {"status",
              {{"phase", "Pending"},
               {"conditions",
                {{{"type", "PodScheduled"}, {"status", "False"}, {"reason", "Unschedulable"}}}}}}};
    if (!kind.empty()) {
      pod["metadata"]["ownerReferences"] = {
          {{"kind", kind}, {"name", "o"}, {"uid", "owner-" + kind}, {"controller", true}}};
    }
    harness_.api.Put(PathOf(name), pod);
  }

  bool IsThere(const std::string& name) { return harness_.api.Find(PathOf(name)).has_value(); }

  bool GoesAway(const std::string& name) {
    return harness_.AdvanceUntil(milliseconds(100), [&] { return !IsThere(name); });
  }

  ApiHarness harness_;
  EventLog events_;
  std::mutex mutex_;
  std::shared_ptr<const fargate::ProfileSet> profiles_ =
      std::make_shared<const fargate::ProfileSet>();
  PodRouter router_;
};

TEST_F(PodRouterTest, RoutesWaitingPodsWhenAProfileAppears) {
  PutPod("web", "ReplicaSet");
  PutPod("bare", "");
  router_.Start();
  router_.SetLeading(true);
  for (int i = 0; i < 50; ++i) {
    harness_.Advance(seconds(10));
  }
  EXPECT_TRUE(IsThere("web"));
  EXPECT_TRUE(events_.events().empty());
  UseProfile();
  ASSERT_TRUE(GoesAway("web"));
  EXPECT_TRUE(IsThere("bare"));
  ASSERT_TRUE(Eventually([&] { return events_.events().size() == 2; }));
  for (const std::string& event : events_.events()) {
    EXPECT_NE(event.find(" FargateProfile: Fargate profile \"fp\" matches this pod now"),
              std::string::npos);
  }
}

TEST_F(PodRouterTest, OnlyTheLeaderActs) {
  UseProfile();
  PutPod("web", "ReplicaSet");
  router_.Start();
  for (int i = 0; i < 50; ++i) {
    harness_.Advance(seconds(10));
  }
  EXPECT_TRUE(IsThere("web"));
  router_.SetLeading(true);
  EXPECT_TRUE(GoesAway("web"));
}

TEST_F(PodRouterTest, APodThatIsBoundInThatMomentStays) {
  PutPod("web", "ReplicaSet");
  router_.Start();
  router_.SetLeading(true);
  ASSERT_TRUE(Eventually([&] { return harness_.api.OpenWatches() == 1; }));
  // The scheduler's write, of which the router has not heard.
  harness_.api.SetSilent(true);
  Json bound = *harness_.api.Find(PathOf("web"));
  bound["spec"]["nodeName"] = "n1";
  harness_.api.Put(PathOf("web"), bound);
  UseProfile();
  ASSERT_TRUE(harness_.AdvanceUntil(milliseconds(100),
                                    [&] { return harness_.api.Requests("DELETE", "pods") > 0; }));
  EXPECT_TRUE(IsThere("web"));
  EXPECT_TRUE(events_.events().empty()) << "what has not happened is not told";
  harness_.api.SetSilent(false);
}

TEST_F(PodRouterTest, SaysAThingOnce) {
  UseProfile();
  PutPod("bare", "");
  router_.Start();
  router_.SetLeading(true);
  ASSERT_TRUE(harness_.AdvanceUntil(milliseconds(100), [&] { return !events_.events().empty(); }));
  for (int i = 0; i < 10; ++i) {
    harness_.Advance(seconds(60));
    router_.LookAgain();
  }
  EXPECT_EQ(events_.events().size(), 1u);
}

// Without the webhook a recreated pod comes back as it was.
TEST_F(PodRouterTest, DoesNotFightAController) {
  UseProfile();
  PutPod("web-1", "ReplicaSet");
  router_.Start();
  router_.SetLeading(true);
  ASSERT_TRUE(GoesAway("web-1"));
  PutPod("web-2", "ReplicaSet");
  const SteadyTime first = harness_.clock.Now();
  ASSERT_TRUE(harness_.AdvanceUntil(milliseconds(200), [&] { return !IsThere("web-2"); }));
  EXPECT_GE(harness_.clock.Now() - first, seconds(29));
  PutPod("web-3", "ReplicaSet");
  const SteadyTime second = harness_.clock.Now();
  ASSERT_TRUE(harness_.AdvanceUntil(milliseconds(200), [&] { return !IsThere("web-3"); }));
  EXPECT_GE(harness_.clock.Now() - second, seconds(58));
}

}  // namespace
}  // namespace farlet::webhook
