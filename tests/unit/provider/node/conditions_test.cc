#include "provider/node/conditions.h"

#include "provider/node/pressure_monitor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace farlet::node {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr SteadyTime kNow{std::chrono::hours(5)};
const ResourceList kCapacity{{"cpu", {}}, {"memory", {}}, {"pods", {}}, {"ephemeral-storage", {}}};

RuntimeFacts Healthy() {
  return {.reachable = true,
          .last_good = kNow,
          .conditions = {{.type = "RuntimeReady", .status = true},
                         {.type = "NetworkReady", .status = true}}};
}

TEST(NotReadyReasonsTest, UseTheKubeletsWords) {
  struct Case {
    const char* name;
    std::function<void(RuntimeFacts&)> change;
    std::vector<std::string> reasons;
  };

  const Case cases[] = {
      {"healthy", [](RuntimeFacts&) {}, {}},
      {"never answered",
       [](RuntimeFacts& r) { r.last_good.reset(); },
       {"container runtime status check may not have completed yet"}},
      {"silent for a moment",
       [](RuntimeFacts& r) {
         r.reachable = false;
         r.last_good = kNow - milliseconds(29'999);
       },
       {}},
      {"silent for long",
       [](RuntimeFacts& r) {
         r.reachable = false;
         r.last_good = kNow - seconds(30);
       },
       {"container runtime is down"}},
      {"network not ready",
       [](RuntimeFacts& r) {
         r.conditions[1] = {.type = "NetworkReady",
                            .status = false,
                            .reason = "NetworkPluginNotReady",
                            .message = "cni plugin not initialized"};
       },
       {"container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady "
        "message:cni plugin not initialized"}},
      {"runtime not ready",
       [](RuntimeFacts& r) {
         r.conditions[0] = {.type = "RuntimeReady", .status = false, .reason = "R", .message = "m"};
       },
       {"container runtime not ready: RuntimeReady=false reason:R message:m"}},
      {"nothing reported",
       [](RuntimeFacts& r) { r.conditions.clear(); },
       {"container runtime not ready: RuntimeReady was not reported",
        "container runtime network not ready: NetworkReady was not reported"}},
  };
  for (const Case& test : cases) {
    RuntimeFacts runtime = Healthy();
    test.change(runtime);
    EXPECT_EQ(NotReadyReasons(runtime, kCapacity, kNow), test.reasons) << test.name;
  }
  EXPECT_THAT(NotReadyReasons(Healthy(), {{"pods", {}}}, kNow),
              ElementsAre("missing node capacity for resources: cpu, memory, ephemeral-storage"));
}

TEST(ComputeConditionsTest, AllWell) {
  EXPECT_EQ(ComputeConditions({}, {}), Json::parse(R"([
    {"type": "MemoryPressure", "status": "False", "reason": "KubeletHasSufficientMemory",
     "message": "kubelet has sufficient memory available"},
    {"type": "DiskPressure", "status": "False", "reason": "KubeletHasNoDiskPressure",
     "message": "kubelet has no disk pressure"},
    {"type": "PIDPressure", "status": "False", "reason": "KubeletHasSufficientPID",
     "message": "kubelet has sufficient PID available"},
    {"type": "Ready", "status": "True", "reason": "KubeletReady",
     "message": "kubelet is posting ready status"}])"));
}

TEST(ComputeConditionsTest, NothingWell) {
  EXPECT_EQ(ComputeConditions({.memory = true, .disk = true, .pid = true}, {"one", "two"}),
            Json::parse(R"([
    {"type": "MemoryPressure", "status": "True", "reason": "KubeletHasInsufficientMemory",
     "message": "kubelet has insufficient memory available"},
    {"type": "DiskPressure", "status": "True", "reason": "KubeletHasDiskPressure",
     "message": "kubelet has disk pressure"},
    {"type": "PIDPressure", "status": "True", "reason": "KubeletHasInsufficientPID",
     "message": "kubelet has insufficient PID available"},
    {"type": "Ready", "status": "False", "reason": "KubeletNotReady",
     "message": "[one, two]"}])"));
  EXPECT_EQ(ComputeConditions({}, {"one"})[3]["message"], "one");
}

TEST(StampConditionsTest, TransitionTimeMovesWithTheStatusOnly) {
  const WallTime first(seconds(1767323045));
  const Json before = StampConditions(Json(), ComputeConditions({}, {}), first);
  EXPECT_EQ(before[3]["lastTransitionTime"], "2026-01-02T03:04:05Z");
  Json known = before;
  known.push_back({{"type", "NetworkUnavailable"}, {"status", "False"}});
  const Json after =
      StampConditions(known, ComputeConditions({}, {"down"}), first + std::chrono::minutes(1));
  ASSERT_EQ(after.size(), 5U);
  EXPECT_EQ(after[0], (Json{{"type", "NetworkUnavailable"}, {"status", "False"}}));
  EXPECT_EQ(after[1]["lastTransitionTime"], "2026-01-02T03:04:05Z");
  EXPECT_EQ(after[1]["lastHeartbeatTime"], "2026-01-02T03:05:05Z");
  EXPECT_EQ(after[4]["lastTransitionTime"], "2026-01-02T03:05:05Z");
}

TEST(ConditionEventsTest, SayWhatChanged) {
  const Json well = ComputeConditions({}, {});
  const Json down = ComputeConditions({.memory = true}, {"down"});
  EXPECT_THAT(ConditionEvents(Json(), well),
              ElementsAre("NodeHasSufficientMemory", "NodeHasNoDiskPressure",
                          "NodeHasSufficientPID", "NodeReady"));
  EXPECT_THAT(
      ConditionEvents(Json(), ComputeConditions({}, {"not yet"})),
      ElementsAre("NodeHasSufficientMemory", "NodeHasNoDiskPressure", "NodeHasSufficientPID"));
  EXPECT_THAT(ConditionEvents(well, well), IsEmpty());
  EXPECT_THAT(ConditionEvents(well, down),
              ElementsAre("NodeHasInsufficientMemory", "NodeNotReady"));
  EXPECT_THAT(ConditionEvents(down, well), ElementsAre("NodeHasSufficientMemory", "NodeReady"));
}

TEST(PressureMonitorTest, HoldsForFiveMinutes) {
  PressureMonitor monitor;
  EXPECT_FALSE(monitor.Update({}, kNow).memory);
  EXPECT_TRUE(monitor.Update({.memory = true}, kNow).memory);
  EXPECT_FALSE(monitor.Update({}, kNow).disk);
  EXPECT_TRUE(monitor.Update({}, kNow + std::chrono::minutes(5) - seconds(1)).memory);
  EXPECT_FALSE(monitor.Update({}, kNow + std::chrono::minutes(5)).memory);
}

}  // namespace
}  // namespace farlet::node
