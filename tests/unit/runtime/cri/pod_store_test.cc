#include "runtime/cri/pod_store.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

namespace farlet::cri {
namespace {

SandboxStatus MakeSandbox(const std::string& id, SandboxState state = SandboxState::kReady) {
  return {.sandbox = {.id = {id}, .state = state}, .ips = {"10.0.0.1"}};
}

PodContainer MakeContainer(const std::string& id, ContainerState state, int32_t exit_code = 0) {
  return {.sandbox = {"s1"}, .status = {.id = {id}, .state = state, .exit_code = exit_code}};
}

class PodStoreTest : public ::testing::Test {
 protected:
  PodStore::Moment Now() { return store_.Now(SteadyTime(seconds(++seconds_))); }

  ContainerState StateOf(const std::string& id) {
    for (const PodContainer& container : store_.Get("u")->containers) {
      if (container.status.id.value == id) {
        return container.status.state;
      }
    }
    return ContainerState::kUnknown;
  }

  PodStore store_;
  int seconds_ = 0;
};

TEST_F(PodStoreTest, SnapshotsStayAsTheyWere) {
  EXPECT_TRUE(store_.Apply("u", Now(), MakeContainer("c1", ContainerState::kCreated)));
  const PodRuntimePtr before = store_.Get("u");
  EXPECT_TRUE(store_.Apply("u", Now(), MakeContainer("c1", ContainerState::kRunning)));
  EXPECT_EQ(before->containers.front().status.state, ContainerState::kCreated);
  EXPECT_GT(store_.Get("u")->generation, before->generation);
}

TEST_F(PodStoreTest, TheSameAgainChangesNothing) {
  EXPECT_TRUE(store_.Apply("u", Now(), MakeSandbox("s1")));
  const PodRuntimePtr before = store_.Get("u");
  EXPECT_FALSE(store_.Apply("u", Now(), MakeSandbox("s1")));
  EXPECT_EQ(store_.Get("u"), before);
  // A full read makes it newer all the same.
  EXPECT_FALSE(store_.Apply("u", Now(), PodFacts{.sandboxes = {MakeSandbox("s1")}}));
  EXPECT_EQ(store_.Get("u")->generation, before->generation);
  EXPECT_GT(store_.Get("u")->observed_at, before->observed_at);
}

TEST_F(PodStoreTest, StatesNeverGoBack) {
  store_.Apply("u", Now(), MakeContainer("c1", ContainerState::kExited, 3));
  EXPECT_FALSE(store_.Apply("u", Now(), MakeContainer("c1", ContainerState::kRunning)));
  EXPECT_EQ(StateOf("c1"), ContainerState::kExited);
  store_.Apply("u", Now(), MakeSandbox("s1", SandboxState::kNotReady));
  EXPECT_FALSE(store_.Apply("u", Now(), MakeSandbox("s1")));
}

TEST_F(PodStoreTest, AnExitCountsEvenWhenItWasAskedForEarlier) {
  const auto asked = Now();
  store_.Apply("u", Now(), MakeContainer("c1", ContainerState::kRunning));
  EXPECT_TRUE(store_.Apply("u", asked, MakeContainer("c1", ContainerState::kExited)));
  EXPECT_EQ(StateOf("c1"), ContainerState::kExited);
}

TEST_F(PodStoreTest, TheReasonOfAnExitMayStillChange) {
  PodContainer container = MakeContainer("c1", ContainerState::kExited, 137);
  store_.Apply("u", Now(), container);
  container.status.reason = "OOMKilled";
  EXPECT_TRUE(store_.Apply("u", Now(), container));
  EXPECT_EQ(store_.Find("c1")->reason, "OOMKilled");
}

TEST_F(PodStoreTest, AReadDoesNotUndoWhatWasNotedSinceItBegan) {
  const auto asked = Now();
  store_.Apply("u", Now(), MakeContainer("new", ContainerState::kCreated));
  store_.Apply("u", asked, PodFacts{.sandboxes = {MakeSandbox("s1")}});
  EXPECT_EQ(store_.Get("u")->containers.size(), 1U);
  EXPECT_TRUE(store_.Differing({}, asked).empty() || store_.Get("u")->sandboxes.size() == 1U);
}

TEST_F(PodStoreTest, AReadDoesNotBringBackWhatWasRemoved) {
  store_.Apply("u", Now(), MakeSandbox("s1"));
  store_.Apply("u", Now(), MakeContainer("c1", ContainerState::kExited));
  const auto asked = Now();
  EXPECT_EQ(store_.Remove("c1", Now()), "u");
  store_.Apply("u", asked,
               PodFacts{.sandboxes = {MakeSandbox("s1")},
                        .containers = {MakeContainer("c1", ContainerState::kExited)}});
  EXPECT_TRUE(store_.Get("u")->containers.empty());
}

TEST_F(PodStoreTest, ASandboxTakesItsContainersAlong) {
  store_.Apply("u", Now(), MakeSandbox("s1"));
  store_.Apply("u", Now(), MakeContainer("c1", ContainerState::kExited));
  EXPECT_EQ(store_.Remove("s1", Now()), "u");
  EXPECT_EQ(store_.Get("u"), nullptr);
  EXPECT_FALSE(store_.Find("c1").has_value());
  EXPECT_FALSE(store_.Apply("u", Now(), MakeContainer("c1", ContainerState::kExited)));
  EXPECT_EQ(store_.Get("u"), nullptr);
}

TEST_F(PodStoreTest, WhatAListLacksIsGone) {
  store_.Apply("u", Now(), MakeSandbox("s1"));
  EXPECT_TRUE(store_.Apply("u", Now(), PodFacts{}));
  EXPECT_EQ(store_.Get("u"), nullptr);
  EXPECT_TRUE(store_.All().empty());
}

TEST_F(PodStoreTest, FindsThePodsThatDiffer) {
  store_.Apply("same", Now(), MakeSandbox("s1"));
  store_.Apply("state", Now(), MakeSandbox("s2"));
  store_.Apply("gone", Now(), MakeSandbox("s3"));
  store_.Apply("more", Now(), MakeSandbox("s4"));
  std::map<std::string, PodLists> lists;
  lists["same"].sandboxes = {MakeSandbox("s1").sandbox};
  lists["state"].sandboxes = {MakeSandbox("s2", SandboxState::kNotReady).sandbox};
  lists["more"].sandboxes = {MakeSandbox("s4").sandbox};
  lists["more"].containers = {{.id = {"c4"}, .sandbox_id = {"s4"}}};
  lists["new"].sandboxes = {MakeSandbox("s5").sandbox};
  EXPECT_EQ(store_.Differing(lists, Now()),
            (std::vector<std::string>{"more", "new", "state", "gone"}));
}

TEST_F(PodStoreTest, NewestComesFirst) {
  PodContainer first = MakeContainer("a", ContainerState::kExited);
  first.status.metadata = {.name = "main", .attempt = 0};
  first.status.created_at = WallTime(seconds(1));
  PodContainer second = MakeContainer("b", ContainerState::kRunning);
  second.status.metadata = {.name = "main", .attempt = 1};
  second.status.created_at = WallTime(seconds(2));
  second.status.labels = {{"k", "v"}};
  store_.Apply("u", Now(), PodFacts{.containers = {first, second}});
  const PodRuntimePtr pod = store_.Get("u");
  EXPECT_EQ(pod->containers.front().status.id.value, "b");
  EXPECT_EQ(pod->FindContainer("main")->status.id.value, "b");
  EXPECT_EQ(pod->FindContainer("other"), nullptr);
  EXPECT_EQ(pod->CurrentSandbox(), nullptr);
  EXPECT_EQ(pod->Label("k"), "v");
  EXPECT_EQ(pod->Label("x"), "");
}

}  // namespace
}  // namespace farlet::cri
