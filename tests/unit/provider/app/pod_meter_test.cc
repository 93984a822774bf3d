#include "provider/app/pod_meter.h"

#include "provider/fargate/names.h"
#include "tests/unit/provider/pod/controller_fixture.h"

#include <gmock/gmock.h>

#include <algorithm>

namespace farlet::testing {
namespace {

using app::PodMeter;
using metering::GroupTotal;
using metering::Moment;

const metering::Group kGroup{.object_namespace = "default", .profile = "fp"};

// The real controller over a fake runtime, with a ledger that is read anew by every agent.
class PodMeterTest : public ControllerTest {
 protected:
  ~PodMeterTest() override { StopAgent(); }

  void Start() {
    meter_.reset();
    ledger_ = std::make_unique<metering::Ledger>(root_ / "metering", clock_, metering::Limits());
    meter_ = std::make_unique<PodMeter>(*ledger_, clock_, PodMeter::Options{});
    observer_ = meter_.get();
    StartAgent();
  }

  void Restart() {
    StopAgent();
    Start();
  }

  static Json FargatePod(const std::string& name, const std::string& restart_policy = "Never") {
    Json pod = PodSpec(name);
    pod["metadata"]["labels"][fargate::Names().profile_label] = "fp";
    pod["metadata"]["annotations"][std::string(fargate::kCapacityAnnotation)] = "0.25vCPU 0.5GB";
    pod["metadata"]["creationTimestamp"] = "2026-01-02T03:04:05Z";
    pod["spec"]["restartPolicy"] = restart_policy;
    pod["status"]["conditions"] = {{{"type", "PodScheduled"},
                                    {"status", "True"},
                                    {"lastTransitionTime", "2026-01-02T03:04:06Z"}}};
    return pod;
  }

  GroupTotal Counter() const {
    const auto counters = ledger_->Counters();
    const auto found = counters.find(kGroup);
    return found == counters.end() ? GroupTotal() : found->second;
  }

  metering::PodRun Run() const {
    const metering::Report report = ledger_->MakeReport({.pods = true});
    return report.pods.empty() ? metering::PodRun() : report.pods.front().run;
  }

  // By the ledger, too, which hears of it after the API server.
  bool WaitSeenReady(const std::string& pod) {
    return WaitReady(pod) && Eventually([&] { return Run().at(Moment::kReady).has_value(); });
  }

  bool WaitEnded() {
    return Eventually([&] { return Counter().pods == 1; });
  }

  WallTime FinishedAt(const std::string& pod) const {
    return runtime_.FindContainer(pod, "main")->finished_at;
  }

  RealClock clock_;
  std::unique_ptr<metering::Ledger> ledger_;
  std::unique_ptr<PodMeter> meter_;
};

TEST_F(PodMeterTest, AJobIsBilledFromItsPullToItsEnd) {
  runtime_.AddRemoteImage("far:1", {.pull_takes = milliseconds(200)});
  Json pod = FargatePod("job");
  pod["spec"]["containers"][0]["image"] = "far:1";
  const WallTime before = clock_.WallNow();
  Start();
  Put(pod);
  ASSERT_TRUE(WaitReady("job"));
  EXPECT_EQ(Counter().running, 1);
  runtime_.Exit(ContainerId("job"), 0);
  ASSERT_TRUE(WaitPhase("job", "Succeeded"));
  ASSERT_TRUE(WaitEnded());
  const metering::PodRun run = Run();
  EXPECT_EQ(run.end, FinishedAt("job"));
  EXPECT_GE(*run.begin(), before);
  EXPECT_GE(*run.pull, milliseconds(190));
  EXPECT_GE(*run.at(Moment::kStarted) - *run.begin(), milliseconds(190));
  EXPECT_EQ(fargate::CostText(Counter().charge.cost), "0.0002057083");  // a minute
  const metering::StartTimes times = StartTimesOf(run);
  EXPECT_EQ(times.scheduled, seconds(1));
  EXPECT_TRUE(times.sandbox && times.pull && times.start && times.ready);
}

TEST_F(PodMeterTest, OthersAreNotMetered) {
  Start();
  Put(PodSpec("web"));
  ASSERT_TRUE(WaitReady("web"));
  EXPECT_TRUE(ledger_->Counters().empty());
  EXPECT_FALSE(ledger_->Knows("uid-web"));
}

TEST_F(PodMeterTest, AnAgentThatComesBackChangesNothing) {
  Start();
  Put(FargatePod("job"));
  ASSERT_TRUE(WaitSeenReady("job"));
  const metering::PodRun before = Run();
  Restart();
  ASSERT_TRUE(Eventually([&] { return agent_->controller->Pods().size() == 1; }));
  EXPECT_EQ(Run().moments, before.moments);
  runtime_.Exit(ContainerId("job"), 0);
  ASSERT_TRUE(WaitEnded());
  EXPECT_EQ(Run().begin(), before.begin());
  EXPECT_EQ(Run().end, FinishedAt("job"));
  const GroupTotal counter = Counter();
  Restart();
  ASSERT_TRUE(Eventually([&] { return agent_->controller->Pods().size() == 1; }));
  EXPECT_EQ(Counter(), counter);
}

TEST_F(PodMeterTest, AnEndWhileNoAgentIsThereIsTakenFromTheRuntime) {
  Start();
  Put(FargatePod("job"));
  ASSERT_TRUE(WaitSeenReady("job"));
  StopAgent();
  runtime_.Exit(ContainerId("job"), 5);
  const WallTime finished = FinishedAt("job");
  std::this_thread::sleep_for(milliseconds(300));
  Start();
  ASSERT_TRUE(WaitPhase("job", "Failed"));
  ASSERT_TRUE(WaitEnded());
  EXPECT_EQ(Run().end, finished);
}

// Its object goes, too: only the runtime remembers it.
TEST_F(PodMeterTest, AnEndOfWhichOnlyTheRuntimeKnows) {
  Start();
  Put(FargatePod("job"));
  ASSERT_TRUE(WaitSeenReady("job"));
  StopAgent();
  runtime_.Exit(ContainerId("job"), 0);
  const WallTime finished = FinishedAt("job");
  Delete("job", 0);
  std::this_thread::sleep_for(milliseconds(300));
  Start();
  ASSERT_TRUE(WaitClean());
  ASSERT_TRUE(WaitEnded());
  EXPECT_EQ(Run().end, finished);
  EXPECT_TRUE(Eventually([&] { return Run().gone; }));
}

TEST_F(PodMeterTest, ADeletedPodEndsWithItsContainers) {
  Start();
  Put(FargatePod("web", "Always"));
  ASSERT_TRUE(WaitSeenReady("web"));
  const WallTime before = clock_.WallNow();
  Delete("web");
  ASSERT_TRUE(WaitGone("web"));
  ASSERT_TRUE(WaitClean());
  ASSERT_TRUE(WaitEnded());
  EXPECT_GE(*Run().end, before);
  EXPECT_LE(*Run().end, clock_.WallNow());
}

TEST_F(PodMeterTest, ARestartOfAContainerIsNoEnd) {
  Start();
  Put(FargatePod("web", "Always"));
  ASSERT_TRUE(WaitSeenReady("web"));
  const metering::PodRun before = Run();
  runtime_.Exit(ContainerId("web"), 1);
  ASSERT_TRUE(Eventually([&] { return runtime_.Calls("CreateContainer") == 2; }));
  ASSERT_TRUE(WaitReady("web"));
  EXPECT_EQ(Counter().pods, 0);
  EXPECT_EQ(Run().moments, before.moments);
}

// A pod that waits for its image is billed, as the pull has begun.
TEST_F(PodMeterTest, AnImageThatNeverComes) {
  Json pod = FargatePod("web");
  pod["spec"]["containers"][0]["image"] = "nowhere:1";
  Start();
  Put(pod);
  ASSERT_TRUE(WaitWaiting("web", "ErrImagePull"));
  EXPECT_EQ(Counter().running, 1);
  Delete("web");
  ASSERT_TRUE(WaitGone("web"));
  ASSERT_TRUE(WaitEnded());
  EXPECT_FALSE(Run().at(Moment::kStarted));
}

// The agent dies while a call is under way: the beginning is on the disk already.
TEST_F(PodMeterTest, TheBeginningSurvivesADeathDuringThePull) {
  runtime_.AddRemoteImage("far:1", {});
  runtime_.Inject({.rpc = "PullImage", .hold = true});
  Json pod = FargatePod("job");
  pod["spec"]["containers"][0]["image"] = "far:1";
  Start();
  Put(pod);
  ASSERT_TRUE(Eventually([&] { return runtime_.Held("PullImage") > 0; }));
  const metering::PodRun before = Run();
  ASSERT_TRUE(before.begin());
  StopAgent();
  runtime_.Release("PullImage");
  runtime_.ClearFaults();
  std::this_thread::sleep_for(milliseconds(200));
  Start();
  ASSERT_TRUE(WaitReady("job"));
  EXPECT_EQ(Run().begin(), before.begin());
}

TEST_F(PodMeterTest, ALedgerThatWasLostBeginsWithTheSandbox) {
  Start();
  Put(FargatePod("web", "Always"));
  ASSERT_TRUE(WaitSeenReady("web"));
  StopAgent();
  std::filesystem::remove_all(root_ / "metering");
  Start();
  ASSERT_TRUE(Eventually([&] { return Counter().running == 1; }));
  EXPECT_EQ(Run().begin(), runtime_.Sandboxes().front().created_at);
}

}  // namespace
}  // namespace farlet::testing
