#include "provider/pod/admission.h"

#include "provider/pod/resources.h"
#include "tests/unit/provider/pod/pod_builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <string>

namespace farlet::pod {
namespace {

using Json = nlohmann::json;

kube::Pod WithSpec(const char* spec, const char* uid = "uid-1") {
  return BuildPod({{"metadata", {{"uid", uid}}}, {"spec", Json::parse(spec)}});
}

std::shared_ptr<const kube::Pod> Other(const char* spec,
                                       const char* uid,
                                       const char* phase = "Running") {
  return std::make_shared<const kube::Pod>(BuildPod(
      {{"metadata", {{"uid", uid}}}, {"spec", Json::parse(spec)}, {"status", {{"phase", phase}}}}));
}

NodeContext Node() {
  NodeContext node;
  node.max_pods = 3;
  node.allocatable = {{"cpu", *kube::Quantity::Parse("4")},
                      {"memory", *kube::Quantity::Parse("4Gi")}};
  return node;
}

constexpr char kOneCpu[] =
    R"({"containers": [{"name": "a", "image": "x", "resources": {"requests": {"cpu": "1", "memory": "1Gi"}}}]})";

TEST(AdmissionTest, OrdinaryPodsPass) {
  EXPECT_EQ(Admit(BuildPod(), {}, Node()), std::nullopt);
  EXPECT_EQ(Admit(WithSpec(R"({"hostNetwork": true, "hostPID": true, "shareProcessNamespace": true,
      "runtimeClassName": "vm",
      "initContainers": [{"name": "s", "image": "x", "restartPolicy": "Always"}],
      "volumes": [{"name": "e", "emptyDir": {"medium": "Memory"}}]})"),
                  {}, Node()),
            std::nullopt);
}

TEST(AdmissionTest, OneMessageNamesEverythingUnsupported) {
  const auto failure = CheckSupported(WithSpec(R"({
      "hostUsers": false,
      "volumes": [{"name": "d", "hostPath": {"path": "/"}}, {"name": "p", "persistentVolumeClaim": {"claimName": "c"}},
                  {"name": "h", "emptyDir": {"medium": "HugePages"}}],
      "containers": [{"name": "a", "image": "x", "lifecycle": {"preStop": {"sleep": {"seconds": 1}}},
                      "livenessProbe": {"grpc": {"port": 1}}}]})"));
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->reason, "UnsupportedPodSpec");
  EXPECT_EQ(failure->message,
            "not supported on this node: spec.containers[0].lifecycle, spec.hostUsers, "
            "spec.volumes[0].hostPath (volume \"d\"), "
            "spec.volumes[1].persistentVolumeClaim (volume \"p\"), "
            "spec.volumes[2].emptyDir.medium HugePages (volume \"h\"), "
            "spec.containers[0].livenessProbe.grpc");
}

TEST(AdmissionTest, WhatCannotBeReadAndOtherSystems) {
  Json object = *BuildPod().raw;
  object["spec"]["hostNetwork"] = "yes";
  const auto pod = kube::Pod::FromJson(object);
  ASSERT_TRUE(pod);
  EXPECT_EQ(CheckSupported(*pod)->message,
            "the pod's spec cannot be read: spec.hostNetwork: must be true or false");
  EXPECT_EQ(CheckSupported(WithSpec(R"({"os": {"name": "windows"}})"))->reason,
            "PodOSNotSupported");
}

TEST(AdmissionTest, Sysctls) {
  const auto check = [](const char* spec) { return CheckSysctls(WithSpec(spec)); };
  EXPECT_EQ(
      check(
          R"({"securityContext": {"sysctls": [{"name": "kernel/shm_rmid_forced", "value": "1"}]}})"),
      std::nullopt);
  const auto failure =
      check(R"({"securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}})");
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->reason, "SysctlForbidden");
  EXPECT_EQ(failure->message, "forbidden sysctl: \"kernel.msgmax\" not allowlisted");
  EXPECT_TRUE(check(R"({"hostNetwork": true, "securityContext":
      {"sysctls": [{"name": "net.ipv4.tcp_syncookies", "value": "1"}]}})"));
}

TEST(AdmissionTest, Resources) {
  const PodList active{Other(kOneCpu, "a"), Other(kOneCpu, "b", "Succeeded")};
  const auto failure = CheckResources(
      WithSpec(
          R"({"containers": [{"name": "a", "image": "x", "resources": {"requests": {"cpu": "3500m"}}}]})"),
      active, Node());
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->reason, "OutOfcpu");
  EXPECT_EQ(failure->message,
            "Node didn't have enough resource: cpu, requested: 3500, used: 1000, capacity: 4000");
  EXPECT_EQ(CheckResources(WithSpec(R"({"containers": [{"name": "a", "image": "x", "resources":
      {"requests": {"cpu": "3", "memory": "3Gi"}}}]})"),
                           active, Node()),
            std::nullopt);
  const auto memory = CheckResources(WithSpec(R"({"overhead": {"memory": "1Mi"}, "containers": [
      {"name": "a", "image": "x", "resources": {"requests": {"memory": "3Gi"}}}]})"),
                                     active, Node());
  ASSERT_TRUE(memory);
  EXPECT_EQ(memory->reason, "OutOfmemory");
  EXPECT_EQ(memory->message,
            "Node didn't have enough resource: memory, requested: 3222274048, used: 1073741824, "
            "capacity: 4294967296");
  EXPECT_EQ(CheckResources(WithSpec(R"({"containers": [{"name": "a", "image": "x", "resources":
      {"requests": {"test/gpu": "1"}}}]})"),
                           {}, Node())
                ->reason,
            "OutOftest/gpu");
}

TEST(AdmissionTest, PodCount) {
  const PodList active{Other(kOneCpu, "a"), Other(kOneCpu, "b"), Other(kOneCpu, "uid-1"),
                       Other(kOneCpu, "d", "Failed")};
  EXPECT_EQ(CheckResources(BuildPod(), active, Node()), std::nullopt)
      << "the pod itself counts once";
  const PodList full{Other("{}", "a"), Other("{}", "b"), Other("{}", "c")};
  const auto failure = CheckResources(BuildPod(), full, Node());
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->reason, "OutOfpods");
  EXPECT_EQ(failure->message,
            "Node didn't have enough resource: pods, requested: 1, used: 3, capacity: 3");
}

TEST(AdmissionTest, HostPorts) {
  const auto port = [](const char* ip, const char* protocol) {
    Json item = {{"containerPort", 80}, {"hostPort", 8080}, {"hostIP", ip}, {"protocol", protocol}};
    return Json({{"containers", {{{"name", "a"}, {"image", "x"}, {"ports", Json::array({item})}}}}})
        .dump();
  };
  const auto conflict = [&](const std::string& wanted, const std::string& taken) {
    return CheckHostPorts(WithSpec(wanted.c_str()), {Other(taken.c_str(), "a")}).has_value();
  };
  EXPECT_TRUE(conflict(port("", "TCP"), port("", "TCP")));
  EXPECT_TRUE(conflict(port("0.0.0.0", "TCP"), port("10.0.0.1", "TCP")));
  EXPECT_FALSE(conflict(port("10.0.0.2", "TCP"), port("10.0.0.1", "TCP")));
  EXPECT_FALSE(conflict(port("", "TCP"), port("", "UDP")));
  EXPECT_FALSE(conflict(port("", "TCP"), "{}"));
}

TEST(PodResourcesTest, InitContainersAndSidecars) {
  const kube::Pod pod = WithSpec(R"({
      "initContainers": [
        {"name": "s", "image": "x", "restartPolicy": "Always", "resources": {"requests": {"cpu": "100m"}}},
        {"name": "i", "image": "x", "resources": {"requests": {"cpu": "2"}}}],
      "containers": [{"name": "a", "image": "x", "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}}},
                     {"name": "b", "image": "x", "resources": {"requests": {"cpu": "500m"}}}]})");
  const kube::ResourceList requests = PodRequests(pod.spec);
  EXPECT_EQ(requests.at("cpu").milli(), 2100);
  EXPECT_EQ(requests.at("memory").value(), 1024LL * 1024 * 1024);
}

}  // namespace
}  // namespace farlet::pod
