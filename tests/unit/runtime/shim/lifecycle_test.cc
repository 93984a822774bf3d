#include "runtime/shim/lifecycle.h"

#include <gtest/gtest.h>

namespace farlet::shim {
namespace {

using State = Lifecycle::State;

TEST(LifecycleTest, RunsFromCreatedToStopped) {
  Lifecycle life;
  EXPECT_EQ(life.state(), State::kCreated);
  EXPECT_TRUE(life.BeginStart());
  EXPECT_FALSE(life.BeginStart());
  EXPECT_FALSE(life.EndStart());
  EXPECT_EQ(life.state(), State::kRunning);
  EXPECT_TRUE(life.Exited({.status = 3}));
  EXPECT_TRUE(life.stopped());
  EXPECT_EQ(life.exit()->status, 3U);
  EXPECT_FALSE(life.Exited({.status = 4}));
  EXPECT_EQ(life.exit()->status, 3U);
  EXPECT_EQ(life.BeginStart().error().code, Code::kFailedPrecondition);
}

TEST(LifecycleTest, HoldsAnExitUntilTheStartIsTold) {
  Lifecycle life;
  ASSERT_TRUE(life.BeginStart());
  EXPECT_FALSE(life.Exited({.status = 3}));
  EXPECT_FALSE(life.stopped());
  const auto held = life.EndStart();
  ASSERT_TRUE(held);
  EXPECT_EQ(held->status, 3U);
  EXPECT_TRUE(life.Exited(*held));
}

TEST(LifecycleTest, AFailedStartPrefersTheExitThatWasSeen) {
  Lifecycle life;
  ASSERT_TRUE(life.BeginStart());
  EXPECT_FALSE(life.Exited({.status = 3}));
  life.FailStart({.status = 127});
  EXPECT_TRUE(life.stopped());
  EXPECT_EQ(life.exit()->status, 3U);
}

TEST(LifecycleTest, MayEndBeforeItsStart) {
  Lifecycle life;
  EXPECT_TRUE(life.Exited({.status = 137}));
  EXPECT_TRUE(life.stopped());
}

TEST(LifecycleTest, PausesOnlyWhileRunning) {
  Lifecycle life;
  EXPECT_FALSE(life.BeginPause());
  ASSERT_TRUE(life.BeginStart());
  life.EndStart();
  ASSERT_TRUE(life.BeginPause());
  EXPECT_EQ(life.state(), State::kPausing);
  life.EndPause(false);
  EXPECT_EQ(life.state(), State::kRunning);
  EXPECT_FALSE(life.Resume());
  ASSERT_TRUE(life.BeginPause());
  life.EndPause(true);
  EXPECT_EQ(life.state(), State::kPaused);
  EXPECT_FALSE(life.BeginPause());
  EXPECT_TRUE(life.Resume());
  ASSERT_TRUE(life.BeginPause());
  life.EndPause(true);
  EXPECT_TRUE(life.Exited({.status = 9}));  // also while it is paused
}

}  // namespace
}  // namespace farlet::shim
