#include "runtime/cri/runtime_health.h"

#include "tests/unit/runtime/cri/cri_test_support.h"

#include <gtest/gtest.h>

#include <mutex>
#include <vector>

namespace farlet::cri {
namespace {

class RuntimeHealthTest : public CriTest {
 protected:
  std::vector<RuntimeHealthState> Told() const {
    const std::lock_guard lock(mutex_);
    return told_;
  }

  RealClock clock_;
  TimerService timers_{clock_};
  mutable std::mutex mutex_;  // guards told_
  std::vector<RuntimeHealthState> told_;
  RuntimeHealth health_{*client_, clock_, timers_, [this](const RuntimeHealthState& state) {
                          const std::lock_guard lock(mutex_);
                          told_.push_back(state);
                        }};
};

TEST_F(RuntimeHealthTest, KnowsVersionAndConditions) {
  EXPECT_FALSE(health_.State().RuntimeReady());
  EXPECT_EQ(health_.State().Problem(), "container runtime was not asked yet");
  health_.Start();
  ASSERT_TRUE(Eventually([&] { return health_.State().RuntimeReady(); }));
  const RuntimeHealthState state = health_.State();
  EXPECT_TRUE(state.NetworkReady());
  EXPECT_EQ(state.version.runtime_name, "containerd");
  EXPECT_TRUE(state.last_good.has_value());
  EXPECT_EQ(state.Problem(), "");
  EXPECT_TRUE(Eventually([&] { return Told().size() == 1; }));
}

TEST_F(RuntimeHealthTest, TellsWhenTheNetworkBecomesReady) {
  runtime_.SetConditions({{.type = "RuntimeReady", .status = true},
                          {.type = "NetworkReady",
                           .status = false,
                           .reason = "NetworkPluginNotReady",
                           .message = "cni config uninitialized"}});
  health_.Start();
  ASSERT_TRUE(Eventually([&] { return health_.State().RuntimeReady(); }));
  EXPECT_FALSE(health_.State().NetworkReady());
  EXPECT_EQ(health_.State().Problem(),
            "NetworkReady=false reason:NetworkPluginNotReady message:cni config uninitialized");
  runtime_.SetConditions(
      {{.type = "RuntimeReady", .status = true}, {.type = "NetworkReady", .status = true}});
  EXPECT_TRUE(Eventually([&] { return health_.State().NetworkReady(); }));
}

TEST_F(RuntimeHealthTest, TellsWhenTheRuntimeIsGoneAndWhenItIsBack) {
  runtime_.Stop();
  health_.Start();
  ASSERT_TRUE(Eventually([&] { return !Told().empty(); }));
  EXPECT_FALSE(health_.State().reachable);
  EXPECT_NE(health_.State().Problem().find(runtime_.endpoint()), std::string::npos);
  runtime_.Start();
  EXPECT_TRUE(Eventually([&] { return health_.State().reachable; }));
  EXPECT_TRUE(Eventually([&] { return Told().size() == 2; }));
}

}  // namespace
}  // namespace farlet::cri
