#include "provider/pod/plan.h"

#include "provider/pod/cri_config.h"
#include "provider/pod/planner.h"
#include "tests/fakes/clock/fake_clock.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <string>
#include <vector>

namespace farlet::pod {
namespace {

using cri::ContainerState;
using cri::SandboxState;

// "start c #2", "kill c 30s: …": a plan as words, which is what the tests compare.
std::string Describe(const Action& action) {
  struct {
    std::string operator()(const PrepareVolumes&) { return "volumes"; }

    std::string operator()(const EnsureImage& a) { return "image " + a.container; }

    std::string operator()(const CreateSandbox& a) {
      return "create sandbox #" + std::to_string(a.attempt);
    }

    std::string operator()(const StopSandbox& a) { return "stop sandbox " + a.id.value; }

    std::string operator()(const RemoveSandbox& a) {
      return std::string(a.stop_first ? "stop and " : "") + "remove sandbox " + a.id.value;
    }

    std::string operator()(const StartContainer& a) {
      return "start " + a.container + " #" + std::to_string(a.restart_count) + " in " +
             a.sandbox.value;
    }

    std::string operator()(const KillContainer& a) {
      return std::string(a.sooner ? "kill sooner " : "kill ") + a.id.value + " " +
             std::to_string(a.grace.count()) + "s: " + a.message;
    }

    std::string operator()(const RemoveContainer& a) { return "remove " + a.id.value; }
  } words;

  return std::visit(words, action);
}

using Words = std::vector<std::string>;

// A pod and its runtime, made step by step.
class PlanTest : public ::testing::Test {
 protected:
  PlanTest() {
    pod_.meta = {.uid = "u1", .object_namespace = "ns", .name = "web"};
    AddApp("c");
  }

  kube::Container& AddApp(const std::string& name) {
    return pod_.spec.containers.emplace_back(kube::Container{.name = name, .image = "img"});
  }

  kube::Container& AddInit(const std::string& name, const std::string& restart = "") {
    return pod_.spec.init_containers.emplace_back(
        kube::Container{.name = name, .image = "img", .restart_policy = restart});
  }

  // The newest so far.
  void AddSandbox(const std::string& id,
                  uint32_t attempt = 0,
                  SandboxState state = SandboxState::kReady) {
    cri::SandboxStatus status;
    status.sandbox.id = {id};
    status.sandbox.state = state;
    status.sandbox.metadata.attempt = attempt;
    status.ips = {"10.0.0.7"};
    runtime_.sandboxes.insert(runtime_.sandboxes.begin(), status);
  }

  cri::ContainerStatus& AddContainer(const std::string& id,
                                     const std::string& name,
                                     ContainerState state,
                                     int exit_code = 0,
                                     uint32_t restarts = 0) {
    cri::ContainerStatus status;
    status.id = {id};
    status.metadata = {.name = name, .attempt = restarts};
    status.labels[cri::labels::kContainerName] = name;
    status.annotations[kRestartCountAnnotation] = std::to_string(restarts);
    status.state = state;
    status.exit_code = exit_code;
    status.finished_at = clock_.WallNow();
    runtime_.containers.insert(
        runtime_.containers.begin(),
        cri::PodContainer{.sandbox = runtime_.sandboxes.front().sandbox.id, .status = status});
    return runtime_.containers.front().status;
  }

  void ImageIsThere(const std::string& name) { progress_[name].image = ReadyImage{.ref = "i"}; }

  Plan Make() {
    return PlanPod({.pod = pod_,
                    .runtime = runtime_,
                    .wish = wish_,
                    .grace = grace_,
                    .ending_since = ending_since_,
                    .volumes_ready = volumes_ready_,
                    .containers = progress_,
                    .operations = operations_,
                    .stopping = stopping_,
                    .stopped_sandboxes = stopped_,
                    .probes = probes_,
                    .now = clock_.Now(),
                    .wall_now = clock_.WallNow()});
  }

  Words Actions() {
    Words words;
    for (const Action& action : Make().actions) {
      words.push_back(Describe(action));
    }
    return words;
  }

  testing::FakeClock clock_;
  kube::Pod pod_;
  cri::PodRuntime runtime_;
  Wish wish_ = Wish::kRun;
  seconds grace_{30};
  SteadyTime ending_since_ = clock_.Now();
  bool volumes_ready_ = true;
  std::map<std::string, ContainerProgress> progress_;
  OperationTable operations_;
  std::map<cri::ContainerId, SteadyTime> stopping_;
  std::set<cri::SandboxId> stopped_;
  ProbeResults probes_;
};

TEST_F(PlanTest, NewPodStartsEverythingItCanAtOnce) {
  volumes_ready_ = false;
  EXPECT_EQ(Actions(), (Words{"volumes", "create sandbox #0", "image c"}));
}

TEST_F(PlanTest, WhatIsInFlightIsNotPlannedAgain) {
  operations_.Begin(kCreateSandboxOperation);
  operations_.Begin(ImageOperation("c"));
  EXPECT_EQ(Actions(), Words{});
}

TEST_F(PlanTest, WhatFailedWaitsForItsNextTry) {
  operations_.Fail(kCreateSandboxOperation, clock_.Now());
  ImageIsThere("c");
  EXPECT_EQ(Actions(), Words{});
  EXPECT_EQ(Make().look_again, clock_.Now() + seconds(1));
  clock_.Advance(seconds(1));
  EXPECT_EQ(Actions(), (Words{"create sandbox #0"}));
}

TEST_F(PlanTest, ContainersStartTogetherWhenAllIsThere) {
  AddApp("d");
  AddSandbox("s");
  ImageIsThere("c");
  ImageIsThere("d");
  EXPECT_EQ(Actions(), (Words{"start c #0 in s", "start d #0 in s"}));
  volumes_ready_ = false;
  EXPECT_EQ(Actions(), (Words{"volumes"}));
}

TEST_F(PlanTest, SandboxWithoutAnAddressIsReplaced) {
  AddSandbox("s");
  runtime_.sandboxes[0].ips.clear();
  ImageIsThere("c");
  EXPECT_EQ(Actions(), (Words{"stop sandbox s"}));
  stopped_.insert({"s"});
  EXPECT_EQ(Actions(), (Words{"create sandbox #1"}));
  pod_.spec.host_network = true;
  EXPECT_EQ(Actions(), (Words{"start c #0 in s"}));
}

TEST_F(PlanTest, RunningPodIsLeftAlone) {
  AddSandbox("s");
  AddContainer("1", "c", ContainerState::kRunning);
  const Plan plan = Make();
  EXPECT_TRUE(plan.actions.empty());
  EXPECT_FALSE(plan.completed || plan.quiet || plan.finished || plan.empty);
  EXPECT_FALSE(plan.look_again);
}

TEST_F(PlanTest, ContainerOfADeadAgentIsMadeAnew) {
  AddSandbox("s");
  AddContainer("1", "c", ContainerState::kCreated);
  ImageIsThere("c");
  EXPECT_EQ(Actions(), (Words{"remove 1"}));
  operations_.Begin(StartOperation("c"));
  EXPECT_EQ(Actions(), Words{});
}

struct RestartCase {
  std::string policy;
  int exit_code;
  bool restarts;
};

TEST_F(PlanTest, RestartPolicies) {
  AddSandbox("s");
  ImageIsThere("c");
  cri::ContainerStatus& status = AddContainer("1", "c", ContainerState::kExited, 0, 3);
  for (const RestartCase& test :
       {RestartCase{"Always", 0, true}, RestartCase{"Always", 1, true},
        RestartCase{"OnFailure", 0, false}, RestartCase{"OnFailure", 1, true},
        RestartCase{"Never", 0, false}, RestartCase{"Never", 1, false}}) {
    pod_.spec.restart_policy = test.policy;
    status.exit_code = test.exit_code;
    const Plan plan = Make();
    EXPECT_EQ(plan.completed, !test.restarts) << test.policy << test.exit_code;
    EXPECT_EQ(Actions(), test.restarts ? Words{"start c #4 in s"} : Words{"stop sandbox s"})
        << test.policy << test.exit_code;
  }
}

TEST_F(PlanTest, CrashLoopHoldsBack) {
  AddSandbox("s");
  ImageIsThere("c");
  AddContainer("1", "c", ContainerState::kExited, 1);
  progress_["c"].crash.OnRestart(clock_.WallNow(), clock_.WallNow());
  clock_.Advance(seconds(4));
  const Plan plan = Make();
  EXPECT_TRUE(plan.actions.empty());
  EXPECT_EQ(plan.waiting.at("c").reason, "CrashLoopBackOff");
  EXPECT_EQ(plan.waiting.at("c").message,
            "back-off 10s restarting failed container=c pod=web_ns(u1)");
  EXPECT_EQ(plan.look_again, clock_.Now() + seconds(6));
  clock_.Advance(seconds(6));
  EXPECT_EQ(Actions(), (Words{"start c #1 in s"}));
}

TEST_F(PlanTest, RestartCountSurvivesALostContainer) {
  AddSandbox("s");
  ImageIsThere("c");
  pod_.raw = std::make_shared<const nlohmann::json>(
      nlohmann::json{{"status",
                      {{"containerStatuses",
                        {{{"name", "c"},
                          {"containerID", "containerd://x"},
                          {"restartCount", 5},
                          {"state", {{"running", nlohmann::json::object()}}}}}}}}});
  EXPECT_EQ(Actions(), (Words{"start c #6 in s"}));
}

TEST_F(PlanTest, ChangedImageRestarts) {
  AddSandbox("s");
  AddContainer("1", "c", ContainerState::kRunning).annotations[kHashAnnotation] =
      ContainerHash(pod_.spec.containers[0]);
  EXPECT_EQ(Actions(), Words{});
  pod_.spec.containers[0].image = "other";
  EXPECT_EQ(Actions(), (Words{"kill 1 30s: Container c definition changed, will be restarted"}));
  stopping_[{"1"}] = clock_.Now() + seconds(30);
  EXPECT_EQ(Actions(), Words{});
}

TEST_F(PlanTest, FailedProbesKill) {
  AddSandbox("s");
  AddContainer("1", "c", ContainerState::kRunning);
  pod_.spec.containers[0].liveness_probe = kube::Probe{.termination_grace_period = seconds(5)};
  probes_[{"1"}] = {.failed = ProbeType::kLiveness};
  EXPECT_EQ(Actions(), (Words{"kill 1 5s: Container c failed liveness probe, will be restarted"}));
  probes_[{"1"}] = {.failed = ProbeType::kStartup};
  EXPECT_EQ(Actions(), (Words{"kill 1 30s: Container c failed startup probe, will be restarted"}));
  pod_.spec.restart_policy = "Never";
  EXPECT_EQ(Actions(), (Words{"kill 1 30s: Container c failed startup probe"}));
}

TEST_F(PlanTest, InitContainersRunInOrder) {
  AddInit("a");
  AddInit("b");
  AddSandbox("s");
  for (const char* name : {"a", "b", "c"}) {
    ImageIsThere(name);
  }
  EXPECT_EQ(Actions(), (Words{"start a #0 in s"}));
  cri::ContainerStatus& first = AddContainer("1", "a", ContainerState::kRunning);
  EXPECT_EQ(Actions(), Words{});
  first.state = ContainerState::kExited;
  EXPECT_EQ(Actions(), (Words{"start b #0 in s"}));
  AddContainer("2", "b", ContainerState::kExited);
  EXPECT_EQ(Actions(), (Words{"start c #0 in s"}));
}

TEST_F(PlanTest, FailedInitContainer) {
  AddInit("a");
  AddSandbox("s");
  ImageIsThere("a");
  AddContainer("1", "a", ContainerState::kExited, 7);
  EXPECT_EQ(Actions(), (Words{"start a #1 in s"}));
  pod_.spec.restart_policy = "Never";
  EXPECT_TRUE(Make().completed);
  EXPECT_EQ(Actions(), (Words{"stop sandbox s"}));
}

TEST_F(PlanTest, InitContainersThatWereRemovedAreDone) {
  AddInit("a");
  AddSandbox("s");
  AddContainer("1", "c", ContainerState::kRunning);
  EXPECT_EQ(Actions(), Words{});
}

TEST_F(PlanTest, InitContainersRunAgainInANewSandbox) {
  AddInit("a");
  AddSandbox("s0", 0, SandboxState::kNotReady);
  AddContainer("1", "a", ContainerState::kExited);
  AddContainer("2", "c", ContainerState::kExited, 137);
  AddSandbox("s1", 1);
  ImageIsThere("a");
  ImageIsThere("c");
  EXPECT_EQ(Actions(), (Words{"start a #1 in s1"}));
}

TEST_F(PlanTest, SidecarComesFirstAndStaysUp) {
  AddInit("side", "Always").startup_probe = kube::Probe{};
  AddSandbox("s");
  ImageIsThere("side");
  ImageIsThere("c");
  EXPECT_EQ(Actions(), (Words{"start side #0 in s"}));
  AddContainer("1", "side", ContainerState::kRunning);
  probes_[{"1"}] = {};
  EXPECT_EQ(Actions(), Words{});
  probes_[{"1"}].state.started = true;
  EXPECT_EQ(Actions(), (Words{"start c #0 in s"}));
  // It is restarted whatever the pod's policy, and ends when the others have.
  pod_.spec.restart_policy = "Never";
  cri::ContainerStatus& app = AddContainer("2", "c", ContainerState::kRunning);
  runtime_.containers[1].status.state = ContainerState::kExited;
  EXPECT_EQ(Actions(), (Words{"start side #1 in s"}));
  runtime_.containers[1].status.state = ContainerState::kRunning;
  runtime_.containers[0].status.state = ContainerState::kExited;
  static_cast<void>(app);
  EXPECT_EQ(Actions(), (Words{"kill 1 30s: Stopping container side"}));
}

TEST_F(PlanTest, LostSandboxIsReplacedWithWhatRunsInIt) {
  AddSandbox("s", 2, SandboxState::kNotReady);
  cri::ContainerStatus& status = AddContainer("1", "c", ContainerState::kRunning);
  EXPECT_EQ(Actions(), (Words{"kill 1 30s: Stopping container c"}));
  status.state = ContainerState::kExited;
  ImageIsThere("c");
  EXPECT_EQ(Actions(), (Words{"stop sandbox s"}));
  stopped_.insert({"s"});
  EXPECT_EQ(Actions(), (Words{"create sandbox #3"}));
  pod_.spec.restart_policy = "Never";
  EXPECT_TRUE(Make().completed);
  EXPECT_TRUE(Make().finished);
}

TEST_F(PlanTest, Ending) {
  wish_ = Wish::kEnd;
  AddApp("d");
  AddSandbox("s");
  AddContainer("1", "c", ContainerState::kRunning);
  AddContainer("2", "d", ContainerState::kRunning);
  clock_.Advance(seconds(10));
  EXPECT_EQ(Actions(),
            (Words{"kill 2 20s: Stopping container d", "kill 1 20s: Stopping container c"}));
  EXPECT_FALSE(Make().quiet);
  for (cri::PodContainer& container : runtime_.containers) {
    container.status.state = ContainerState::kExited;
  }
  EXPECT_EQ(Actions(), (Words{"stop sandbox s"}));
  EXPECT_TRUE(Make().quiet);
  EXPECT_FALSE(Make().finished);
  runtime_.sandboxes[0].sandbox.state = SandboxState::kNotReady;
  EXPECT_EQ(Actions(), Words{});
  EXPECT_TRUE(Make().finished);
  wish_ = Wish::kRemove;
  EXPECT_EQ(Actions(), (Words{"stop and remove sandbox s"}));
  stopped_.insert({"s"});
  EXPECT_EQ(Actions(), (Words{"remove sandbox s"}));
  EXPECT_FALSE(Make().empty);
  runtime_ = {};
  EXPECT_TRUE(Make().empty);
}

TEST_F(PlanTest, ASandboxThatIsBeingStoppedIsNotOver) {
  wish_ = Wish::kEnd;
  AddSandbox("s", 0, SandboxState::kNotReady);
  const std::string stop = OperationName(StopSandbox{.id = {"s"}});
  operations_.Begin(stop);
  EXPECT_TRUE(Make().quiet);
  EXPECT_FALSE(Make().finished);
  wish_ = Wish::kRemove;
  EXPECT_EQ(Actions(), Words{});
  operations_.Succeed(stop);
  EXPECT_TRUE(Make().finished);
}

TEST_F(PlanTest, GraceIsAtLeastTwoSecondsAndMayShrink) {
  wish_ = Wish::kEnd;
  AddSandbox("s");
  AddContainer("1", "c", ContainerState::kRunning);
  stopping_[{"1"}] = clock_.Now() + seconds(30);
  EXPECT_EQ(Actions(), Words{});
  grace_ = seconds(0);
  EXPECT_EQ(Actions(), (Words{"kill sooner 1 2s: Stopping container c"}));
}

TEST_F(PlanTest, EndingWaitsForWhatIsBeingStarted) {
  wish_ = Wish::kEnd;
  operations_.Begin(kCreateSandboxOperation);
  EXPECT_FALSE(Make().quiet);
  operations_.Succeed(kCreateSandboxOperation);
  operations_.Begin(StartOperation("c"));
  EXPECT_FALSE(Make().quiet);
  operations_.Succeed(StartOperation("c"));
  // A pull is not waited for.
  operations_.Begin(ImageOperation("c"));
  EXPECT_TRUE(Make().finished);
}

TEST_F(PlanTest, SidecarsEndLastInReverseOrder) {
  wish_ = Wish::kEnd;
  AddInit("a", "Always");
  AddInit("b", "Always");
  AddSandbox("s");
  AddContainer("1", "a", ContainerState::kRunning);
  AddContainer("2", "b", ContainerState::kRunning);
  AddContainer("3", "c", ContainerState::kRunning);
  EXPECT_EQ(Actions(), (Words{"kill 3 30s: Stopping container c"}));
  runtime_.containers[0].status.state = ContainerState::kExited;
  EXPECT_EQ(Actions(), (Words{"kill 2 30s: Stopping container b"}));
  runtime_.containers[1].status.state = ContainerState::kExited;
  EXPECT_EQ(Actions(), (Words{"kill 1 30s: Stopping container a"}));
}

TEST_F(PlanTest, OrphanWithoutASpecEnds) {
  wish_ = Wish::kRemove;
  pod_.spec.containers.clear();
  AddSandbox("s");
  AddContainer("1", "x", ContainerState::kRunning);
  EXPECT_EQ(Actions(), (Words{"kill 1 30s: Stopping container x"}));
}

TEST_F(PlanTest, KeepsOneDeadContainerForEachName) {
  AddSandbox("s");
  AddContainer("1", "c", ContainerState::kExited, 1, 0);
  AddContainer("2", "c", ContainerState::kExited, 1, 1);
  AddContainer("3", "c", ContainerState::kRunning, 0, 2);
  EXPECT_EQ(Actions(), (Words{"remove 1"}));
}

TEST_F(PlanTest, RemovesReplacedSandboxes) {
  AddSandbox("s0", 0, SandboxState::kNotReady);
  AddSandbox("s1", 1, SandboxState::kReady);
  AddSandbox("s2", 2);
  AddContainer("1", "c", ContainerState::kRunning);
  EXPECT_EQ(Actions(), (Words{"stop sandbox s1", "stop and remove sandbox s0"}));
}

// What containerd 1.6 said of containers whose StartContainer was cancelled at random moments.
TEST(CutOffTest, IsToldByTheRuntimesWords) {
  cri::ContainerStatus status;
  status.state = ContainerState::kExited;
  status.reason = "StartError";
  for (const char* cut_off :
       {"failed to create containerd task: failed to create shim task: context canceled: unknown",
        "failed to start containerd task \"x\": context canceled: unknown",
        "failed to create containerd task: failed to start shim: start failed: : signal: killed: "
        "unknown"}) {
    status.message = cut_off;
    EXPECT_TRUE(IsCutOff(status)) << cut_off;
  }
  for (const char* failed :
       {"failed to create containerd task: failed to create shim task: OCI runtime create failed: "
        "exec: \"nothing\": executable file not found in $PATH",
        "OCI runtime create failed: runc did not terminate successfully: signal: killed", ""}) {
    status.message = failed;
    EXPECT_FALSE(IsCutOff(status)) << failed;
  }
  status.message = "context canceled";
  status.reason = "Error";
  EXPECT_FALSE(IsCutOff(status));
}

}  // namespace
}  // namespace farlet::pod
