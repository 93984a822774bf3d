#include "tests/unit/provider/pod/controller_fixture.h"

#include <gmock/gmock.h>

#include <algorithm>

namespace farlet::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ControllerLifeTest : public ControllerTest {};

TEST_F(ControllerLifeTest, RunsAPod) {
  StartAgent();
  Put(PodSpec("web"));
  ASSERT_TRUE(WaitReady("web"));
  const Json status = (*api_.Find(Path("web")))["status"];
  EXPECT_EQ(status["phase"], "Running");
  EXPECT_EQ(status["hostIP"], "192.0.2.1");
  EXPECT_EQ(status["podIP"], runtime_.FindSandbox("web")->ips[0]);
  EXPECT_EQ(status["containerStatuses"][0]["containerID"], "containerd://" + ContainerId("web"));
  EXPECT_EQ(runtime_.FindSandbox("web")->config.labels.at(cri::labels::kOwner), kNode);
  EXPECT_THAT(events_.Of("web"),
              ElementsAre("Pulled: Container image \"app:1\" already present on machine and can be "
                          "accessed by the pod",
                          "Created: Container created", "Started: Container started"));
}

TEST_F(ControllerLifeTest, WaitsUntilPodsCanBeJudged) {
  std::atomic<bool> ready = false;
  ready_ = [&] { return ready.load(); };
  StartAgent();
  Put(PodSpec("web"));
  std::this_thread::sleep_for(milliseconds(200));
  EXPECT_FALSE(agent_->controller->Synced());
  EXPECT_EQ(runtime_.Calls("RunPodSandbox"), 0);
  ready = true;
  EXPECT_TRUE(WaitReady("web"));
  StopAgent();
}

// What a pod costs: the point of the whole.
TEST_F(ControllerLifeTest, StartsWithFewCalls) {
  options_.status.soon = seconds(5);
  StartAgent();
  ASSERT_TRUE(Eventually([&] { return agent_->controller->Synced(); }));
  runtime_.ResetCalls();
  Put(PodSpec("web"));
  ASSERT_TRUE(WaitReady("web"));
  EXPECT_EQ(api_.Requests("PATCH", "pods/status"), 1);
  EXPECT_EQ(api_.Requests("GET", "pods"), 0);
  for (const char* call : {"RunPodSandbox", "ImageStatus", "CreateContainer", "StartContainer"}) {
    EXPECT_EQ(runtime_.Calls(call), 1) << call;
  }
  // Once more when the runtime's event overtakes the answer to our own call.
  EXPECT_LE(runtime_.Calls("PodSandboxStatus"), 2);
}

TEST_F(ControllerLifeTest, DeletesWithGrace) {
  StartAgent();
  Put(PodSpec("web"));
  ASSERT_TRUE(WaitReady("web"));
  Delete("web");
  ASSERT_TRUE(WaitGone("web"));
  EXPECT_TRUE(WaitClean());
  EXPECT_EQ(events_.Count("web", "Killing: Stopping container main"), 1);
  EXPECT_EQ(runtime_.Calls("StopContainer"), 1);
  EXPECT_EQ(runtime_.Calls("StopPodSandbox"), 1);
  // The last status said how it ended.
  bool terminal = false;
  for (const ApiCall& call : api_.History()) {
    terminal =
        terminal || (call.verb == "PATCH" && call.body["status"].value("phase", "") == "Failed");
  }
  EXPECT_TRUE(terminal);
  EXPECT_TRUE(Eventually([&] { return agent_->controller->Pods().empty(); }));
}

// The runtime says that the sandbox has ended before its network is down.
TEST_F(ControllerLifeTest, APodIsThereUntilItsSandboxIsStopped) {
  StartAgent();
  Put(PodSpec("web"));
  ASSERT_TRUE(WaitReady("web"));
  runtime_.Inject(
      {.rpc = "StopPodSandbox", .when = FakeCriServer::Fault::When::kAfter, .hold = true});
  Delete("web");
  ASSERT_TRUE(Eventually([&] { return runtime_.Held("StopPodSandbox") == 1; }));
  std::this_thread::sleep_for(milliseconds(300));
  EXPECT_TRUE(api_.Find(Path("web")));
  runtime_.Release("StopPodSandbox");
  EXPECT_TRUE(WaitGone("web"));
  EXPECT_TRUE(WaitClean());
  EXPECT_EQ(runtime_.Calls("StopPodSandbox"), 1);
}

TEST_F(ControllerLifeTest, AnApiServerThatHasNotReadThePodYetIsAskedAgain) {
  StartAgent();
  Put(PodSpec("web"));
  ASSERT_TRUE(WaitReady("web"));
  // The last status goes before the agent's DELETE: time to prepare the wrong answer to that.
  api_.InjectFault({.verb = "PATCH", .times = -1, .delay = milliseconds(200)});
  Delete("web");
  api_.InjectFault({.verb = "DELETE", .times = 1, .status = 404, .reason = "NotFound"});
  EXPECT_TRUE(WaitGone("web"));
  EXPECT_TRUE(WaitClean());
  const auto history = api_.History();
  EXPECT_EQ(std::count_if(history.begin(), history.end(),
                          [](const ApiCall& call) { return call.verb == "DELETE"; }),
            3)
      << "the user's, the one that was refused, the last";
}

TEST_F(ControllerLifeTest, ARunningPodIsNotTakenForGoneByItsStatus) {
  StartAgent();
  api_.InjectFault({.verb = "PATCH", .times = 2, .status = 404, .reason = "NotFound"});
  Put(PodSpec("web"));
  EXPECT_TRUE(WaitReady("web"));
  EXPECT_EQ(runtime_.Calls("StopPodSandbox"), 0);
}

TEST_F(ControllerLifeTest, ForcedDeletionStopsItToo) {
  StartAgent();
  Put(PodSpec("web"));
  ASSERT_TRUE(WaitReady("web"));
  api_.Remove(Path("web"));
  EXPECT_TRUE(WaitClean());
}

TEST_F(ControllerLifeTest, JobSucceeds) {
  runtime_.SetBehavior("main", {.exit_code = 0, .run_for = milliseconds(20)});
  Json pod = PodSpec("job");
  pod["spec"]["restartPolicy"] = "Never";
  StartAgent();
  Put(pod);
  ASSERT_TRUE(WaitPhase("job", "Succeeded"));
  // Its sandbox goes, its container stays for its logs.
  EXPECT_TRUE(Eventually(
      [&] { return runtime_.FindSandbox("job")->state == cri::SandboxState::kNotReady; }));
  EXPECT_EQ(runtime_.Containers().size(), 1u);
  Delete("job", 0);
  EXPECT_TRUE(WaitGone("job"));
  EXPECT_TRUE(WaitClean());
}

TEST_F(ControllerLifeTest, FailedJobKeepsItsExitCode) {
  runtime_.SetBehavior("main", {.exit_code = 3});
  Json pod = PodSpec("job");
  pod["spec"]["restartPolicy"] = "Never";
  StartAgent();
  Put(pod);
  ASSERT_TRUE(WaitPhase("job", "Failed"));
  const Json status = (*api_.Find(Path("job")))["status"];
  EXPECT_EQ(status["containerStatuses"][0]["state"]["terminated"]["exitCode"], 3);
}

TEST_F(ControllerLifeTest, CrashLoop) {
  runtime_.SetBehavior("main", {.exit_code = 1});
  StartAgent();
  Put(PodSpec("web"));
  ASSERT_TRUE(WaitWaiting("web", "CrashLoopBackOff"));
  const auto restarts = [&](int at_least) {
    return WaitPod("web", [&](const Json& object) {
      return object["status"].value(Json::json_pointer("/containerStatuses/0/restartCount"), 0) >=
             at_least;
    });
  };
  ASSERT_TRUE(restarts(2));
  EXPECT_GE(events_.Count("web", "BackOff: Back-off restarting failed container main in pod"), 1);
  // One dead container is kept.
  EXPECT_TRUE(Eventually([&] { return runtime_.Containers().size() <= 2; }));
  Delete("web", 0);
  EXPECT_TRUE(WaitGone("web"));
  EXPECT_TRUE(WaitClean());
}

TEST_F(ControllerLifeTest, ExitIsToldAtOnce) {
  StartAgent();
  Json pod = PodSpec("web");
  pod["spec"]["restartPolicy"] = "Never";
  Put(pod);
  ASSERT_TRUE(WaitReady("web"));
  const auto before = std::chrono::steady_clock::now();
  runtime_.Exit(ContainerId("web"), 0);
  ASSERT_TRUE(WaitPhase("web", "Succeeded"));
  EXPECT_LT(std::chrono::steady_clock::now() - before, seconds(2));
}

TEST_F(ControllerLifeTest, PullFailureThenSuccess) {
  runtime_.AddRemoteImage("far:1", {.pull_error = NotFound("far:1: not found")});
  Json pod = PodSpec("web");
  pod["spec"]["containers"][0]["image"] = "far:1";
  StartAgent();
  Put(pod);
  ASSERT_TRUE(WaitWaiting("web", "ImagePullBackOff"));
  EXPECT_GE(events_.Count("web", "Failed: Error: ErrImagePull"), 1);
  EXPECT_GE(events_.Count("web", "Failed: Failed to pull image \"far:1\": rpc error: code ="), 1);
  EXPECT_GE(events_.Count("web", "BackOff: Back-off pulling image \"far:1\""), 1);
  runtime_.AddRemoteImage("far:1", {.size_bytes = 77});
  ASSERT_TRUE(WaitReady("web"));
  EXPECT_EQ(events_.Count("web", "Pulled: Successfully pulled image \"far:1\" in "), 1);
}

TEST_F(ControllerLifeTest, MissingConfigMapIsWaitedFor) {
  Json pod = PodSpec("web");
  pod["spec"]["containers"][0]["env"] = {
      {{"name", "A"}, {"valueFrom", {{"configMapKeyRef", {{"name", "cm"}, {"key", "k"}}}}}}};
  StartAgent();
  Put(pod);
  ASSERT_TRUE(WaitWaiting("web", "CreateContainerConfigError"));
  EXPECT_GE(events_.Count("web", "Failed: Error: configmap \"cm\" not found"), 1);
  api_.Put("/api/v1/namespaces/default/configmaps/cm", {{"data", {{"k", "v"}}}});
  ASSERT_TRUE(WaitReady("web"));
  EXPECT_EQ(runtime_.FindContainer("web", "main")->config.envs[0].value, "v");
}

TEST_F(ControllerLifeTest, RefusedPodNeverRuns) {
  Json pod = PodSpec("big");
  pod["spec"]["containers"][0]["resources"] = {{"requests", {{"cpu", "100"}}}};
  StartAgent();
  Put(pod);
  ASSERT_TRUE(WaitPhase("big", "Failed"));
  const Json status = (*api_.Find(Path("big")))["status"];
  EXPECT_EQ(status["reason"], "OutOfcpu");
  EXPECT_THAT(status["message"].get<std::string>(), HasSubstr("Pod was rejected: "));
  EXPECT_EQ(events_.Count("big", "OutOfcpu: "), 1);
  EXPECT_EQ(runtime_.Calls("RunPodSandbox"), 0);
  Delete("big", 0);
  EXPECT_TRUE(WaitGone("big"));
}

TEST_F(ControllerLifeTest, MalformedPodFails) {
  Json pod = PodSpec("bad");
  pod["spec"]["containers"][0]["resources"] = {{"limits", {{"cpu", "many"}}}};
  StartAgent();
  Put(pod);
  ASSERT_TRUE(WaitPhase("bad", "Failed"));
  EXPECT_EQ(runtime_.Calls("RunPodSandbox"), 0);
}

TEST_F(ControllerLifeTest, ActiveDeadline) {
  Json pod = PodSpec("web");
  pod["spec"]["activeDeadlineSeconds"] = 1;
  StartAgent();
  Put(pod);
  ASSERT_TRUE(WaitPhase("web", "Failed"));
  EXPECT_EQ((*api_.Find(Path("web")))["status"]["reason"], "DeadlineExceeded");
  EXPECT_EQ(events_.Count("web", "DeadlineExceeded: "), 1);
}

TEST_F(ControllerLifeTest, InitContainers) {
  runtime_.SetBehavior("first", {.exit_code = 0, .run_for = milliseconds(10)});
  Json pod = PodSpec("web");
  pod["spec"]["initContainers"] = {
      {{"name", "first"}, {"image", "app:1"}, {"imagePullPolicy", "IfNotPresent"}}};
  StartAgent();
  Put(pod);
  ASSERT_TRUE(WaitReady("web"));
  EXPECT_LE(runtime_.FindContainer("web", "first")->finished_at,
            runtime_.FindContainer("web", "main")->created_at);
}

TEST_F(ControllerLifeTest, LostSandboxIsReplaced) {
  StartAgent();
  Put(PodSpec("web"));
  ASSERT_TRUE(WaitReady("web"));
  const std::string first = runtime_.FindSandbox("web")->id;
  runtime_.KillSandbox(first);
  ASSERT_TRUE(Eventually([&] {
    const auto sandbox = runtime_.FindSandbox("web");
    return sandbox && sandbox->id != first && sandbox->config.metadata.attempt == 1;
  }));
  ASSERT_TRUE(WaitReady("web"));
  EXPECT_GE(events_.Count("web", "SandboxChanged: "), 1);
}

TEST_F(ControllerLifeTest, LivenessFailureRestarts) {
  Json pod = PodSpec("web");
  pod["spec"]["containers"][0]["livenessProbe"] = {
      {"exec", {{"command", {"check"}}}}, {"periodSeconds", 1}, {"failureThreshold", 1}};
  // Only the first instance falls ill: how soon the second is probed must not matter.
  std::string first;
  std::atomic<bool> ill{false};
  runtime_.SetExec([&](const FakeContainer& container, const auto&) -> Result<cri::ExecSyncResult> {
    return cri::ExecSyncResult{.stdout_text = "sick",
                               .exit_code = ill && container.id == first ? 1 : 0};
  });
  StartAgent();
  Put(pod);
  ASSERT_TRUE(WaitReady("web"));
  first = ContainerId("web");
  ill = true;
  ASSERT_TRUE(Eventually([&] { return ContainerId("web") != first; }));
  EXPECT_GE(events_.Count("web", "Unhealthy: Liveness probe failed: sick"), 1);
  EXPECT_EQ(
      events_.Count("web", "Killing: Container main failed liveness probe, will be restarted"), 1);
}

TEST_F(ControllerLifeTest, ReadinessFollowsItsProbe) {
  Json pod = PodSpec("web");
  pod["spec"]["containers"][0]["readinessProbe"] = {
      {"exec", {{"command", {"check"}}}}, {"periodSeconds", 1}, {"failureThreshold", 1}};
  std::atomic<bool> ready{false};
  runtime_.SetExec([&](const FakeContainer&, const auto&) -> Result<cri::ExecSyncResult> {
    return cri::ExecSyncResult{.exit_code = ready ? 0 : 1};
  });
  StartAgent();
  Put(pod);
  ASSERT_TRUE(WaitPhase("web", "Running"));
  EXPECT_FALSE(IsReady(*api_.Find(Path("web"))));
  ready = true;
  ASSERT_TRUE(WaitReady("web"));
  ready = false;
  ASSERT_TRUE(WaitPod("web", [](const Json& object) { return !IsReady(object); }));
  EXPECT_EQ(runtime_.Calls("StopContainer"), 0);
}

TEST_F(ControllerLifeTest, RuntimeClassChoosesTheHandler) {
  Json pod = PodSpec("web");
  pod["spec"]["runtimeClassName"] = "vm";
  StartAgent();
  Put(pod);
  ASSERT_TRUE(WaitReady("web"));
  EXPECT_EQ(runtime_.FindSandbox("web")->runtime_handler, "handler-of-vm");
}

TEST_F(ControllerLifeTest, RuntimeClassThatIsMissingIsToldAndAwaited) {
  runtime_class_ = NotFound("runtimeclass.node.k8s.io \"vm\" not found");
  Json pod = PodSpec("web");
  pod["spec"]["runtimeClassName"] = "vm";
  StartAgent();
  Put(pod);
  const std::string told =
      "FailedCreatePodSandBox: Failed to create pod sandbox: runtimeclass.node.k8s.io \"vm\" not "
      "found";
  ASSERT_TRUE(Eventually([&] { return events_.Count("web", told) > 0; }));
  EXPECT_TRUE(runtime_.Sandboxes().empty());
  Delete("web");
  EXPECT_TRUE(WaitGone("web"));
}

TEST_F(ControllerLifeTest, ForeignSandboxesAreNotTouched) {
  cri::SandboxConfig foreign{.metadata = {.name = "other", .pod_namespace = "x", .uid = "uid-x"},
                             .labels = {{cri::labels::kPodUid, "uid-x"},
                                        {cri::labels::kPodName, "other"},
                                        {cri::labels::kPodNamespace, "x"}}};
  runtime_.AddSandbox(foreign);
  cri::SandboxConfig orphan = foreign;
  orphan.metadata = {.name = "old", .pod_namespace = "x", .uid = "uid-old"};
  orphan.labels = {{cri::labels::kPodUid, "uid-old"},
                   {cri::labels::kPodName, "old"},
                   {cri::labels::kPodNamespace, "x"},
                   {cri::labels::kOwner, kNode}};
  const std::string id = runtime_.AddSandbox(orphan);
  runtime_.AddContainer(
      id,
      {.metadata = {.name = "main"},
       .image = "app:1",
       .labels = {{cri::labels::kContainerName, "main"}, {cri::labels::kPodUid, "uid-old"}}},
      cri::ContainerState::kRunning);
  StartAgent();
  ASSERT_TRUE(Eventually([&] { return !runtime_.FindSandbox("old"); }));
  EXPECT_TRUE(runtime_.FindSandbox("other"));
  EXPECT_EQ(runtime_.FindSandbox("other")->state, cri::SandboxState::kReady);
  // The API server was asked for it before.
  EXPECT_EQ(api_.Requests("LIST", "pods"), 2);
}

}  // namespace
}  // namespace farlet::testing
