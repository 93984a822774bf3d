#include "provider/node/node_agent.h"

#include "runtime/base/file.h"
#include "tests/fakes/apiserver/fake_api_server_harness.h"
#include "tests/unit/temp_folder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <mutex>

namespace farlet::node {
namespace {

using ::farlet::testing::ApiHarness;
using ::farlet::testing::Eventually;

const std::string kPath = "/api/v1/nodes/node-1";
const std::string kLease = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/node-1";

class NodeAgentTest : public ::testing::Test {
 protected:
  NodeAgentTest() {
    runtime_ = {.reachable = true,
                .last_good = harness_.clock.Now(),
                .conditions = {{.type = "RuntimeReady", .status = true},
                               {.type = "NetworkReady", .status = true}},
                .name = "containerd",
                .version = "1.6.20"};
    NodeAgentOptions options{
        .settings = {.name = "node-1", .kubelet_version = "v1.37.2-farlet.0.1.0"},
        .host = {.cpus = 2,
                 .memory_bytes = int64_t{4} << 30,
                 .storage_bytes = 1000,
                 .machine_id = "m1",
                 .boot_id = "b1",
                 .architecture = "amd64"},
        .paths = {.proc = dir_.path(), .root_dir = dir_.path() / "absent"},
        .ips = {"10.0.0.1"},
        .cni_conf_dir = dir_.path() / "net.d",
        .masquerade = false};
    agent_ = std::make_unique<NodeAgent>(harness_.client, harness_.clock, harness_.timers, *events_,
                                         std::move(options),
                                         NodeAgentHooks{.runtime = [this] { return Runtime(); },
                                                        .on_pod_cidrs =
                                                            [this](const auto& cidrs) {
                                                              const std::lock_guard lock(mutex_);
                                                              cidrs_ = cidrs;
                                                            }});
  }

  RuntimeFacts Runtime() {
    const std::lock_guard lock(mutex_);
    RuntimeFacts runtime = runtime_;
    if (runtime.reachable) {
      runtime.last_good = harness_.clock.Now();
    }
    return runtime;
  }

  void ChangeRuntime(const std::function<void(RuntimeFacts&)>& change) {
    {
      const std::lock_guard lock(mutex_);
      runtime_.last_good = harness_.clock.Now();
      change(runtime_);
    }
    agent_->RuntimeChanged();
  }

  std::string Ready() {
    const kube::Json node = harness_.api.Find(kPath).value_or(kube::Json::object());
    const kube::Json conditions =
        node.value("/status/conditions"_json_pointer, kube::Json::array());
    for (const kube::Json& condition : conditions) {
      if (condition["type"] == "Ready") {
        return condition["status"].get<std::string>() + ": " +
               condition["message"].get<std::string>();
      }
    }
    return "none";
  }

  bool ReadyBecomes(const std::string& expected) {
    return Eventually([&] { return Ready() == expected; });
  }

  bool HasEvent(const std::string& reason) {
    return Eventually([&] {
      const auto all = harness_.api.All("/api/v1/namespaces/default/events");
      return std::any_of(all.begin(), all.end(),
                         [&](const kube::Json& event) { return event["reason"] == reason; });
    });
  }

  TempFolder dir_;
  ApiHarness harness_;
  std::mutex mutex_;  // guards runtime_ and cidrs_
  RuntimeFacts runtime_;
  std::vector<std::string> cidrs_;
  std::unique_ptr<kube::EventRecorder> events_ = kube::MakeEventRecorder(
      harness_.client, harness_.clock, harness_.timers, {.component = "kubelet", .host = "node-1"});
  std::unique_ptr<NodeAgent> agent_;
};

constexpr char kIsReady[] = "True: kubelet is posting ready status";

TEST_F(NodeAgentTest, RegistersWithLeaseAndEvents) {
  agent_->Start();
  ASSERT_TRUE(ReadyBecomes(kIsReady));
  ASSERT_TRUE(harness_.api.WaitFor(kLease, [](const kube::Json& lease) {
    return lease.is_object() && lease["metadata"].contains("ownerReferences");
  }));
  EXPECT_EQ((*harness_.api.Find(kLease))["metadata"]["ownerReferences"][0]["uid"],
            (*harness_.api.Find(kPath))["metadata"]["uid"]);
  EXPECT_TRUE(HasEvent("Starting"));
  EXPECT_TRUE(HasEvent("NodeHasSufficientMemory"));
  EXPECT_TRUE(HasEvent("NodeReady"));
}

TEST_F(NodeAgentTest, SaysAtOnceWhenTheNetworkIsNotReady) {
  agent_->Start();
  ASSERT_TRUE(ReadyBecomes(kIsReady));
  ChangeRuntime([](RuntimeFacts& runtime) {
    runtime.conditions[1] = {.type = "NetworkReady", .reason = "R", .message = "m"};
  });
  EXPECT_TRUE(ReadyBecomes(
      "False: container runtime network not ready: NetworkReady=false reason:R message:m"));
  EXPECT_TRUE(HasEvent("NodeNotReady"));
}

TEST_F(NodeAgentTest, IsNotReadyHalfAMinuteAfterTheRuntimeFellSilent) {
  agent_->Start();
  ASSERT_TRUE(ReadyBecomes(kIsReady));
  ChangeRuntime([](RuntimeFacts& runtime) { runtime.reachable = false; });
  harness_.Advance(seconds(25));
  EXPECT_EQ(Ready(), kIsReady);
  EXPECT_TRUE(harness_.AdvanceUntil(seconds(1),
                                    [&] { return Ready() == "False: container runtime is down"; }));
  ChangeRuntime([](RuntimeFacts& runtime) { runtime.reachable = true; });
  EXPECT_TRUE(ReadyBecomes(kIsReady));
}

TEST_F(NodeAgentTest, WritesTheCniConfigurationForItsPodCidr) {
  agent_->Start();
  ASSERT_TRUE(ReadyBecomes(kIsReady));
  ASSERT_TRUE(Eventually([&] { return harness_.api.OpenWatches() == 1; }));
  kube::Json node = *harness_.api.Find(kPath);
  node["spec"]["podCIDRs"] = {"10.244.7.0/24"};
  harness_.api.Put(kPath, node);
  ASSERT_TRUE(Eventually([&] {
    const std::lock_guard lock(mutex_);
    return cidrs_ == std::vector<std::string>{"10.244.7.0/24"};
  }));
  EXPECT_NE(ReadFile(dir_.path() / "net.d/10-farlet.conflist")->find("10.244.7.0/24"),
            std::string::npos);
}

TEST_F(NodeAgentTest, SaysThatTheMachineWasRebooted) {
  harness_.api.Put(kPath, {{"status", {{"nodeInfo", {{"bootID", "b0"}}}}}});
  agent_->Start();
  EXPECT_TRUE(HasEvent("Rebooted"));
  EXPECT_TRUE(ReadyBecomes(kIsReady));
}

TEST_F(NodeAgentTest, TakesItsNodeBackFromTheControlPlane) {
  agent_->Start();
  ASSERT_TRUE(ReadyBecomes(kIsReady));
  ASSERT_TRUE(Eventually([&] { return harness_.api.OpenWatches() == 1; }));
  // What node-lifecycle does to a node without heartbeats.
  kube::Json node = *harness_.api.Find(kPath);
  for (kube::Json& condition : node["status"]["conditions"]) {
    condition["status"] = "Unknown";
  }
  harness_.api.Put(kPath, node);
  EXPECT_TRUE(ReadyBecomes(kIsReady));
}

TEST_F(NodeAgentTest, AnIdleNodeWritesNothing) {
  agent_->Start();
  ASSERT_TRUE(ReadyBecomes(kIsReady));
  harness_.Advance(seconds(1));
  const int before = harness_.api.Requests("PATCH", "nodes/status");
  for (int i = 0; i < 100; ++i) {
    harness_.Advance(seconds(1));
  }
  EXPECT_EQ(harness_.api.Requests("PATCH", "nodes/status"), before);
}

}  // namespace
}  // namespace farlet::node
