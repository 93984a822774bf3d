#include "tests/unit/provider/pod/controller_fixture.h"

#include <gmock/gmock.h>

#include <set>

namespace farlet::testing {
namespace {

class ControllerRestartTest : public ControllerTest {
 protected:
  // How many sandboxes and containers have been made so far.
  int Made() const { return runtime_.Calls("RunPodSandbox") + runtime_.Calls("CreateContainer"); }

  void ExpectNothingDoubled() {
    EXPECT_EQ(runtime_.Sandboxes().size(), 1u);
    EXPECT_EQ(runtime_.Containers().size(), 1u);
  }
};

TEST_F(ControllerRestartTest, RunningPodIsAdopted) {
  StartAgent();
  Put(PodSpec("web"));
  ASSERT_TRUE(WaitReady("web"));
  const std::string id = ContainerId("web");
  const int made = Made();
  const int patches = api_.Requests("PATCH", "pods/status");
  RestartAgent();
  ASSERT_TRUE(Eventually([&] { return agent_->controller->Pods().size() == 1; }));
  Delete("web");
  ASSERT_TRUE(WaitGone("web"));
  EXPECT_TRUE(WaitClean());
  EXPECT_EQ(Made(), made);
  // Adoption itself told nobody anything: what came is the end.
  EXPECT_LE(api_.Requests("PATCH", "pods/status"), patches + 2);
}

TEST_F(ControllerRestartTest, ExitWhileNobodyLookedIsSeen) {
  Json pod = PodSpec("job");
  pod["spec"]["restartPolicy"] = "Never";
  StartAgent();
  Put(pod);
  ASSERT_TRUE(WaitReady("job"));
  StopAgent();
  runtime_.Exit(ContainerId("job"), 5);
  StartAgent();
  ASSERT_TRUE(WaitPhase("job", "Failed"));
  EXPECT_EQ(runtime_.Calls("CreateContainer"), 1);
}

// The agent dies while a call is under way; the call takes effect or not.
struct Stage {
  const char* name;
  const char* rpc;
  FakeCriServer::Fault::When when;
};

class ControllerStageTest : public ControllerRestartTest,
                            public ::testing::WithParamInterface<Stage> {
 protected:
  void HoldAt(const Stage& stage) {
    runtime_.Inject({.rpc = stage.rpc, .when = stage.when, .hold = true});
  }

  bool WaitHeld(const Stage& stage) {
    return Eventually([&] { return runtime_.Held(stage.rpc) > 0; });
  }
};

TEST_P(ControllerStageTest, RestartContinues) {
  HoldAt(GetParam());
  StartAgent();
  Put(PodSpec("web"));
  ASSERT_TRUE(WaitHeld(GetParam()));
  StopAgent();
  runtime_.Release(GetParam().rpc);
  runtime_.ClearFaults();
  StartAgent();
  ASSERT_TRUE(WaitReady("web"));
  ASSERT_TRUE(Eventually(
      [&] { return runtime_.Sandboxes().size() == 1 && runtime_.Containers().size() == 1; }));
  ExpectNothingDoubled();
  const Json status = (*api_.Find(Path("web")))["status"];
  EXPECT_EQ(status["containerStatuses"][0]["restartCount"], 0);
}

TEST_P(ControllerStageTest, DeletionWhileItStarts) {
  HoldAt(GetParam());
  StartAgent();
  Put(PodSpec("web"));
  ASSERT_TRUE(WaitHeld(GetParam()));
  Delete("web");
  std::this_thread::sleep_for(milliseconds(30));
  runtime_.Release(GetParam().rpc);
  ASSERT_TRUE(WaitGone("web"));
  EXPECT_TRUE(WaitClean());
}

TEST_P(ControllerStageTest, DeletionAndRestartWhileItStarts) {
  HoldAt(GetParam());
  StartAgent();
  Put(PodSpec("web"));
  ASSERT_TRUE(WaitHeld(GetParam()));
  StopAgent();
  runtime_.Release(GetParam().rpc);
  runtime_.ClearFaults();
  Delete("web");
  StartAgent();
  ASSERT_TRUE(WaitGone("web"));
  EXPECT_TRUE(WaitClean());
}

using When = FakeCriServer::Fault::When;
INSTANTIATE_TEST_SUITE_P(Stages,
                         ControllerStageTest,
                         ::testing::Values(Stage{"BeforeSandbox", "RunPodSandbox", When::kBefore},
                                           Stage{"AfterSandbox", "RunPodSandbox", When::kAfter},
                                           Stage{"SandboxStatus", "PodSandboxStatus",
                                                 When::kBefore},
                                           Stage{"ImageStatus", "ImageStatus", When::kBefore},
                                           Stage{"BeforeCreate", "CreateContainer", When::kBefore},
                                           Stage{"AfterCreate", "CreateContainer", When::kAfter},
                                           Stage{"BeforeStart", "StartContainer", When::kBefore},
                                           Stage{"AfterStart", "StartContainer", When::kAfter}),
                         [](const auto& test) { return std::string(test.param.name); });

class ControllerEndStageTest : public ControllerStageTest {};

TEST_P(ControllerEndStageTest, RestartEndsIt) {
  StartAgent();
  Put(PodSpec("web"));
  ASSERT_TRUE(WaitReady("web"));
  HoldAt(GetParam());
  Delete("web");
  ASSERT_TRUE(WaitHeld(GetParam()));
  StopAgent();
  runtime_.Release(GetParam().rpc);
  runtime_.ClearFaults();
  StartAgent();
  ASSERT_TRUE(WaitGone("web"));
  EXPECT_TRUE(WaitClean());
}

INSTANTIATE_TEST_SUITE_P(
    Stages,
    ControllerEndStageTest,
    ::testing::Values(Stage{"BeforeStop", "StopContainer", When::kBefore},
                      Stage{"AfterStop", "StopContainer", When::kAfter},
                      Stage{"BeforeStopSandbox", "StopPodSandbox", When::kBefore},
                      Stage{"AfterStopSandbox", "StopPodSandbox", When::kAfter},
                      Stage{"BeforeRemove", "RemovePodSandbox", When::kBefore},
                      Stage{"AfterRemove", "RemovePodSandbox", When::kAfter}),
    [](const auto& test) { return std::string(test.param.name); });

// Seen with containerd 1.6: it gives the start up when the agent is killed, half-way.
TEST_F(ControllerRestartTest, StartThatDiedWithTheAgentIsNoRestart) {
  runtime_.Inject({.rpc = "StartContainer", .hold = true});
  StartAgent();
  Put(PodSpec("web"));
  ASSERT_TRUE(Eventually([&] { return runtime_.Held("StartContainer") == 1; }));
  const std::string first = ContainerId("web");
  StopAgent();
  runtime_.ClearFaults();
  ASSERT_TRUE(Eventually([&] { return runtime_.Held("StartContainer") == 0; }));
  runtime_.LoseTask(first);
  // The API server may have heard of it, but never that it ran.
  Json pod = *api_.Find(Path("web"));
  pod["status"]["containerStatuses"] = {
      {{"name", "main"},
       {"containerID", "containerd://" + first},
       {"restartCount", 0},
       {"state", {{"waiting", {{"reason", "ContainerCreating"}}}}},
       {"lastState", Json::object()}}};
  Put(pod);
  StartAgent();
  ASSERT_TRUE(WaitReady("web"));
  EXPECT_NE(ContainerId("web"), first);
  EXPECT_EQ((*api_.Find(Path("web")))["status"]["containerStatuses"][0]["restartCount"], 0);
  EXPECT_EQ(runtime_.LostTasks(), 0U);
  Delete("web");
  EXPECT_TRUE(WaitGone("web"));
  EXPECT_TRUE(WaitClean());
}

TEST_F(ControllerRestartTest, DeletionWhilePulling) {
  runtime_.AddRemoteImage("far:1", {.pull_takes = seconds(2)});
  Json pod = PodSpec("web");
  pod["spec"]["containers"][0]["image"] = "far:1";
  StartAgent();
  Put(pod);
  ASSERT_TRUE(Eventually([&] { return runtime_.Calls("PullImage") > 0; }));
  Delete("web");
  ASSERT_TRUE(WaitGone("web"));
  EXPECT_TRUE(WaitClean());
}

TEST_F(ControllerRestartTest, ApiServerAwayDuringChurn) {
  Json job = PodSpec("job");
  job["spec"]["restartPolicy"] = "Never";
  StartAgent();
  Put(PodSpec("web"));
  Put(job);
  ASSERT_TRUE(WaitReady("web"));
  ASSERT_TRUE(WaitReady("job"));
  api_.InjectFault({.times = -1, .status = 503});
  agent_->api.BreakWatches();
  runtime_.Exit(ContainerId("job"), 4);
  runtime_.Exit(ContainerId("web"), 1);
  ASSERT_TRUE(Eventually([&] { return runtime_.Calls("CreateContainer") == 3; }));
  // The end of the job is on disk, in case that nobody can tell it any more.
  ASSERT_TRUE(
      Eventually([&] { return std::filesystem::exists(root_ / "root/pods/uid-job/status.json"); }));
  api_.ClearFaults();
  ASSERT_TRUE(WaitPhase("job", "Failed"));
  ASSERT_TRUE(WaitPod("web", [](const Json& object) {
    return object["status"]["containerStatuses"][0]["restartCount"] == 1;
  }));
  EXPECT_TRUE(Eventually(
      [&] { return !std::filesystem::exists(root_ / "root/pods/uid-job/status.json"); }));
}

TEST_F(ControllerRestartTest, TerminalStatusOutlivesAgentAndContainers) {
  Json job = PodSpec("job");
  job["spec"]["restartPolicy"] = "Never";
  StartAgent();
  Put(job);
  ASSERT_TRUE(WaitReady("job"));
  api_.InjectFault({.verb = "PATCH", .times = -1, .status = 503});
  runtime_.Exit(ContainerId("job"), 9);
  ASSERT_TRUE(
      Eventually([&] { return std::filesystem::exists(root_ / "root/pods/uid-job/status.json"); }));
  StopAgent();
  // containerd forgets everything.
  auto client = std::move(*cri::ConnectGrpcClient(runtime_.endpoint()));
  std::atomic<bool> removed{false};
  client->RemovePodSandbox({runtime_.FindSandbox("job")->id},
                           [&](const Status&) { removed = true; });
  ASSERT_TRUE(Eventually([&] { return removed.load(); }));
  api_.ClearFaults();
  StartAgent();
  ASSERT_TRUE(WaitPhase("job", "Failed"));
  const Json status = (*api_.Find(Path("job")))["status"];
  EXPECT_EQ(status["containerStatuses"][0]["state"]["terminated"]["exitCode"], 9);
  EXPECT_EQ(runtime_.Calls("RunPodSandbox"), 1);
}

TEST_F(ControllerRestartTest, RuntimeAwayDuringChurn) {
  StartAgent();
  Put(PodSpec("old"));
  ASSERT_TRUE(WaitReady("old"));
  const std::string id = ContainerId("old");
  runtime_.Stop();
  Put(PodSpec("new"));
  std::this_thread::sleep_for(milliseconds(300));
  EXPECT_TRUE(IsReady(*api_.Find(Path("old"))));
  runtime_.Start();
  ASSERT_TRUE(WaitReady("new"));
  EXPECT_EQ(ContainerId("old"), id);
  Delete("old", 0);
  Delete("new", 0);
  EXPECT_TRUE(WaitGone("old"));
  EXPECT_TRUE(WaitGone("new"));
  EXPECT_TRUE(WaitClean());
}

TEST_F(ControllerRestartTest, NameThatIsTakenIsFoundAndUsed) {
  // The answer of RunPodSandbox gets lost.
  runtime_.Inject({.rpc = "RunPodSandbox",
                   .when = FakeCriServer::Fault::When::kAfter,
                   .error = Unavailable("connection reset")});
  runtime_.Inject({.rpc = "CreateContainer",
                   .when = FakeCriServer::Fault::When::kAfter,
                   .error = Unavailable("connection reset")});
  StartAgent();
  Put(PodSpec("web"));
  ASSERT_TRUE(WaitReady("web"));
  ASSERT_TRUE(Eventually(
      [&] { return runtime_.Sandboxes().size() == 1 && runtime_.Containers().size() == 1; }));
}

TEST_F(ControllerRestartTest, SandboxFailureIsRetried) {
  runtime_.Inject(
      {.rpc = "RunPodSandbox", .error = MakeError(Code::kUnknown, "no network"), .times = 2});
  StartAgent();
  Put(PodSpec("web"));
  ASSERT_TRUE(WaitReady("web"));
  EXPECT_EQ(events_.Count("web",
                          "FailedCreatePodSandBox: Failed to create pod sandbox: rpc error: code = "
                          "Unknown desc = no network"),
            2);
}

TEST_F(ControllerRestartTest, OneStuckPodHoldsUpNobody) {
  runtime_.Inject({.rpc = "RunPodSandbox", .hold = true, .times = -1, .subject = "stuck"});
  StartAgent();
  Put(PodSpec("stuck"));
  ASSERT_TRUE(Eventually([&] { return runtime_.Held("RunPodSandbox") == 1; }));
  for (int i = 0; i < 20; ++i) {
    Put(PodSpec("web" + std::to_string(i)));
  }
  for (int i = 0; i < 20; ++i) {
    EXPECT_TRUE(WaitReady("web" + std::to_string(i)));
  }
  runtime_.Release("RunPodSandbox");
  EXPECT_TRUE(WaitReady("stuck"));
}

TEST_F(ControllerRestartTest, ChurnWithRestartsLeaksNothing) {
  StartAgent();
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 10; ++i) {
      Put(PodSpec("p" + std::to_string(round) + "-" + std::to_string(i)));
    }
    std::this_thread::sleep_for(milliseconds(20 * round));
    RestartAgent();
    for (int i = 0; i < 10; i += 2) {
      Delete("p" + std::to_string(round) + "-" + std::to_string(i), i);
    }
  }
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 10; ++i) {
      const std::string name = "p" + std::to_string(round) + "-" + std::to_string(i);
      EXPECT_TRUE(i % 2 == 0 ? WaitGone(name) : WaitReady(name)) << name;
    }
  }
  EXPECT_TRUE(Eventually([&] { return runtime_.Sandboxes().size() == 15; }));
  EXPECT_EQ(runtime_.Containers().size(), 15u);
}

}  // namespace
}  // namespace farlet::testing
