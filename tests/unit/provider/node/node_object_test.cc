#include "provider/node/node_object.h"

#include "provider/node/capacity.h"

#include <gtest/gtest.h>

namespace farlet::node {
namespace {

const NodeSettings kSettings{
    .name = "node-1",
    .labels = {{"topology.kubernetes.io/zone", "a"}, {"kubernetes.io/hostname", "given"}},
    .taints = {{"eks.amazonaws.com/compute-type", "fargate", "NoSchedule"},
               {"bare", "", "NoExecute"}},
    .provider_id = "farlet://node-1",
    .kubelet_version = "v1.37.2-farlet.0.1.0"};
const HostFacts kHost{.cpus = 2,
                      .memory_bytes = int64_t{4} << 30,
                      .storage_bytes = 100'000,
                      .machine_id = "m1",
                      .system_uuid = "u1",
                      .boot_id = "b1",
                      .kernel_version = "6.1",
                      .os_image = "Debian",
                      .architecture = "amd64"};
constexpr SteadyTime kNow{std::chrono::hours(5)};

Json Status(const RuntimeFacts& runtime, const Json& before = Json()) {
  const Capacity capacity = ComputeCapacity(kSettings, kHost);
  return BuildStatus(before, {.settings = kSettings,
                              .host = kHost,
                              .capacity = capacity,
                              .ips = {"10.0.0.1"},
                              .runtime = runtime,
                              .now = kNow,
                              .wall_now = WallTime(seconds(1767323045))});
}

RuntimeFacts Runtime() {
  return {.reachable = true,
          .last_good = kNow,
          .conditions = {{.type = "RuntimeReady", .status = true},
                         {.type = "NetworkReady", .status = true}},
          .name = "containerd",
          .version = "1.6.20"};
}

TEST(NodeObjectTest, ANewNode) {
  const Json node = BuildNode(kSettings, kHost, Json::object());
  EXPECT_EQ(node, Json::parse(R"({
    "apiVersion": "v1", "kind": "Node",
    "metadata": {
      "name": "node-1",
      "labels": {"kubernetes.io/hostname": "given", "kubernetes.io/os": "linux",
                 "kubernetes.io/arch": "amd64", "beta.kubernetes.io/os": "linux",
                 "beta.kubernetes.io/arch": "amd64", "topology.kubernetes.io/zone": "a"},
      "annotations": {"volumes.kubernetes.io/controller-managed-attach-detach": "true",
                      "farlet.dev/agent-id": "m1"}},
    "spec": {"taints": [{"key": "eks.amazonaws.com/compute-type", "value": "fargate",
                         "effect": "NoSchedule"},
                        {"key": "bare", "effect": "NoExecute"}],
             "providerID": "farlet://node-1"},
    "status": {}})"));
}

TEST(NodeObjectTest, StatusOfAHealthyNode) {
  Json status = Status(Runtime());
  EXPECT_EQ(status["conditions"].size(), 4U);
  status.erase("conditions");
  EXPECT_EQ(status, Json::parse(R"({
    "addresses": [{"type": "InternalIP", "address": "10.0.0.1"},
                  {"type": "Hostname", "address": "node-1"}],
    "capacity": {"cpu": "2", "memory": "4194304Ki", "pods": "110",
                 "ephemeral-storage": "100000"},
    "allocatable": {"cpu": "2", "memory": "4091904Ki", "pods": "110",
                    "ephemeral-storage": "90000"},
    "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
    "nodeInfo": {"machineID": "m1", "systemUUID": "u1", "bootID": "b1", "kernelVersion": "6.1",
                 "osImage": "Debian", "containerRuntimeVersion": "containerd://1.6.20",
                 "kubeletVersion": "v1.37.2-farlet.0.1.0", "kubeProxyVersion": "",
                 "operatingSystem": "linux", "architecture": "amd64"}})"));
}

TEST(NodeObjectTest, LargestImagesFirstAndNotTooMany) {
  RuntimeFacts runtime = Runtime();
  for (int i = 0; i < 60; ++i) {
    runtime.images.push_back({.id = std::to_string(i),
                              .repo_tags = {"t:" + std::to_string(i)},
                              .size_bytes = static_cast<uint64_t>(i)});
  }
  runtime.images.push_back({.id = "names",
                            .repo_tags = {"a:1", "a:2", "a:3"},
                            .repo_digests = {"a@1", "a@2", "a@3"},
                            .size_bytes = 1000});
  runtime.images.push_back({.id = "nameless", .size_bytes = 5000});
  const Json images = Status(runtime)["images"];
  ASSERT_EQ(images.size(), 50U);
  EXPECT_EQ(images[0],
            Json::parse(R"({"names": ["a@1", "a@2", "a@3", "a:1", "a:2"], "sizeBytes": 1000})"));
  EXPECT_EQ(images[1]["names"][0], "t:59");
  EXPECT_EQ(images[49]["names"][0], "t:11");
}

TEST(NodeObjectTest, KeepsWhatASilentRuntimeSaidAndWhatOthersWrote) {
  RuntimeFacts runtime = Runtime();
  runtime.images = {{.id = "1", .repo_tags = {"a:1"}, .size_bytes = 1}};
  runtime.handlers = {{.name = "runc", .recursive_readonly_mounts = true}};
  Json before = Status(runtime);
  EXPECT_EQ(before["runtimeHandlers"], Json::parse(R"([{"name": "runc", "features":
    {"recursiveReadOnlyMounts": true, "userNamespaces": false}}])"));
  before["volumesAttached"] = Json::array({"x"});
  before["nodeInfo"]["swap"] = {{"capacity", 0}};
  const Json after = Status({}, before);
  EXPECT_EQ(after["images"], before["images"]);
  EXPECT_EQ(after["nodeInfo"], before["nodeInfo"]);
  EXPECT_EQ(after["volumesAttached"], before["volumesAttached"]);
  EXPECT_EQ(after["conditions"][3]["status"], "False");
}

TEST(NodeObjectTest, AdoptsLabelsAndAnnotationsOnly) {
  Json node = Json::parse(R"({"metadata": {"labels": {"kept": "1", "kubernetes.io/os": "wrong"}},
                              "spec": {"podCIDR": "10.0.0.0/24"}})");
  const Json adopted = AdoptNode(node, kSettings, kHost);
  EXPECT_EQ(adopted["metadata"]["labels"]["kept"], "1");
  EXPECT_EQ(adopted["metadata"]["labels"]["kubernetes.io/os"], "linux");
  EXPECT_EQ(adopted["metadata"]["annotations"]["farlet.dev/agent-id"], "m1");
  EXPECT_EQ(adopted["spec"], node["spec"]);
}

TEST(ForeignOwnerTest, KnowsItsOwnNode) {
  const char* const own[] = {
      R"({"metadata": {}})",
      R"({"metadata": {"annotations": {"farlet.dev/agent-id": "m1"}},
          "status": {"nodeInfo": {"kubeletVersion": "v1.37.2-farlet.0.1.0"}}})",
      // Its agent is gone, as the control plane has noticed.
      R"({"metadata": {"annotations": {"farlet.dev/agent-id": "m2"}},
          "status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}})",
      R"({"metadata": {}, "status": {"nodeInfo": {"kubeletVersion": "v1.37.2"},
          "conditions": [{"type": "Ready", "status": "Unknown"}]}})"};
  for (const char* node : own) {
    EXPECT_EQ(ForeignOwner(Json::parse(node), kHost), "") << node;
  }
  EXPECT_EQ(ForeignOwner(Json::parse(R"({"metadata": {"annotations":
                {"farlet.dev/agent-id": "m2"}}})"),
                         kHost),
            "a farlet agent on the machine \"m2\"");
  EXPECT_EQ(ForeignOwner(Json::parse(R"({"metadata": {}, "status": {"nodeInfo":
                {"kubeletVersion": "v1.37.2", "machineID": "m9"},
                "conditions": [{"type": "Ready", "status": "True"}]}})"),
                         kHost),
            "a kubelet v1.37.2 on the machine \"m9\"");
}

}  // namespace
}  // namespace farlet::node
