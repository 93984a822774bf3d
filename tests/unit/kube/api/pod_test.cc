#include "kube/api/pod.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <string>
#include <utility>

namespace farlet::kube {
namespace {

using Json = nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

Json MinimalPod() {
  return Json::parse(R"({
    "metadata": {"name": "web", "namespace": "default", "uid": "u-1"},
    "spec": {"containers": [{"name": "app", "image": "busybox"}]}
  })");
}

Pod Parse(Json object) {
  Result<Pod> pod = Pod::FromJson(std::move(object));
  EXPECT_TRUE(pod) << pod.error().message;
  return *std::move(pod);
}

TEST(PodTest, MinimalPodHasTheDefaults) {
  const Pod pod = Parse(MinimalPod());
  EXPECT_FALSE(pod.invalid) << pod.invalid->message;
  EXPECT_EQ(pod.spec.restart_policy, "Always");
  EXPECT_EQ(pod.spec.dns_policy, "ClusterFirst");
  EXPECT_EQ(pod.spec.termination_grace_period, seconds(30));
  EXPECT_TRUE(pod.spec.enable_service_links);
  ASSERT_EQ(pod.spec.containers.size(), 1U);
  EXPECT_EQ(pod.spec.containers[0].image, "busybox");
  EXPECT_EQ(pod.spec.containers[0].termination_message_path, "/dev/termination-log");
  EXPECT_EQ(pod.Format(), "web_default(u-1)");
  EXPECT_THAT(pod.spec.not_understood, testing::IsEmpty());
}

TEST(PodTest, ReadsWhatTheNodeActsOn) {
  Json object = MinimalPod();
  object["metadata"].update(Json::parse(R"({
    "generation": 3, "labels": {"app": "web"}, "annotations": {"a": "b"}, "resourceVersion": "7",
    "creationTimestamp": "2026-11-22T10:00:00Z", "deletionTimestamp": "2026-11-22T11:00:00Z",
    "deletionGracePeriodSeconds": 5, "managedFields": [{"manager": "kubectl"}],
    "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "rs", "uid": "o",
                         "controller": true}]})"));
  object["status"] = {{"phase", "Running"}};
  object["spec"].update(Json::parse(R"({
    "restartPolicy": "OnFailure", "activeDeadlineSeconds": 60, "hostNetwork": true,
    "imagePullSecrets": [{"name": "registry"}, {}],
    "readinessGates": [{"conditionType": "x/y"}],
    "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["a", "b"]}],
    "dnsConfig": {"nameservers": ["1.1.1.1"], "options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}]},
    "securityContext": {"fsGroup": 2000, "runAsUser": 1000, "supplementalGroups": [1, 2],
                        "sysctls": [{"name": "kernel/shm_rmid_forced", "value": "1"}],
                        "seccompProfile": {"type": "RuntimeDefault"}},
    "overhead": {"memory": "120Mi"}})"));
  const Pod pod = Parse(std::move(object));
  ASSERT_FALSE(pod.invalid) << pod.invalid->message;
  EXPECT_EQ(pod.meta.generation, 3);
  EXPECT_EQ(pod.meta.deletion_grace_period, seconds(5));
  ASSERT_EQ(pod.meta.owners.size(), 1U);
  EXPECT_TRUE(pod.meta.owners[0].controller);
  EXPECT_EQ(pod.phase, "Running");
  EXPECT_FALSE(pod.raw->at("metadata").contains("managedFields"));
  EXPECT_EQ(pod.spec.active_deadline, seconds(60));
  EXPECT_TRUE(pod.spec.host_network);
  EXPECT_THAT(pod.spec.image_pull_secrets, ElementsAre("registry"));
  EXPECT_THAT(pod.spec.readiness_gates, ElementsAre("x/y"));
  EXPECT_THAT(pod.spec.security.sysctls, ElementsAre(Pair("kernel.shm_rmid_forced", "1")));
  EXPECT_EQ(pod.spec.security.fs_group, 2000);
  ASSERT_EQ(pod.spec.dns_config.options.size(), 2U);
  EXPECT_EQ(pod.spec.dns_config.options[1].second, std::nullopt);
  EXPECT_EQ(pod.spec.overhead.at("memory").value(), 120LL * 1024 * 1024);
}

TEST(PodTest, ReadsContainers) {
  Json object = MinimalPod();
  object["spec"]["initContainers"] =
      Json::parse(R"([{"name": "proxy", "image": "p", "restartPolicy": "Always"}])");
  object["spec"]["containers"][0].update(Json::parse(R"({
    "imagePullPolicy": "Always", "command": ["sh"], "args": ["-c", "x"],
    "ports": [{"containerPort": 80, "hostPort": 8080, "protocol": "UDP", "name": "http"}],
    "env": [{"name": "A", "value": "1"}, {"name": "B"},
            {"name": "C", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k", "optional": true}}},
            {"name": "D", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
            {"name": "E", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}},
            {"name": "F", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}}}],
    "envFrom": [{"prefix": "P_", "secretRef": {"name": "s"}}, {"configMapRef": {"name": "c", "optional": true}}],
    "resources": {"requests": {"cpu": "100m"}, "limits": {"cpu": "1", "memory": "64Mi"}},
    "livenessProbe": {"httpGet": {"path": "/live", "port": "http"}, "periodSeconds": 0, "failureThreshold": 5},
    "readinessProbe": {"exec": {"command": ["true"]}, "timeoutSeconds": 4},
    "startupProbe": {"tcpSocket": {"port": 80}},
    "securityContext": {"privileged": true, "capabilities": {"add": ["NET_ADMIN"]}},
    "volumeMounts": [{"name": "data", "mountPath": "/data", "subPath": "x", "readOnly": true}]})"));
  const Pod pod = Parse(std::move(object));
  ASSERT_FALSE(pod.invalid) << pod.invalid->message;
  const Container& app = pod.spec.containers[0];
  EXPECT_EQ(pod.spec.init_containers[0].restart_policy, "Always");
  ASSERT_EQ(app.env.size(), 6U);
  EXPECT_EQ(std::get<std::string>(app.env[1].source), "");
  EXPECT_TRUE(std::get<ConfigMapKey>(app.env[2].source).optional);
  EXPECT_EQ(std::get<SecretKey>(app.env[3].source).name, "s");
  EXPECT_EQ(std::get<FieldSelector>(app.env[4].source).field_path, "metadata.name");
  EXPECT_EQ(std::get<ResourceFieldSelector>(app.env[5].source).divisor.milli(), 1);
  EXPECT_EQ(app.env_from[0].kind, EnvFromSource::Kind::kSecret);
  EXPECT_EQ(std::get<std::string>(std::get<HttpGetAction>(app.liveness_probe->action).port),
            "http");
  EXPECT_EQ(app.liveness_probe->period, seconds(10));
  EXPECT_EQ(app.liveness_probe->failure_threshold, 5);
  EXPECT_EQ(app.readiness_probe->timeout, seconds(4));
  EXPECT_EQ(std::get<int32_t>(std::get<TcpSocketAction>(app.startup_probe->action).port), 80);
  EXPECT_EQ(app.ports[0].protocol, "UDP");
  EXPECT_TRUE(app.volume_mounts[0].read_only);
  EXPECT_EQ(app.security.privileged, true);
}

TEST(PodTest, ReadsVolumes) {
  Json object = MinimalPod();
  object["spec"]["volumes"] = Json::parse(R"([
    {"name": "cache", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
    {"name": "conf", "configMap": {"name": "c", "defaultMode": 256, "items": [{"key": "k", "path": "p", "mode": 420}]}},
    {"name": "cred", "secret": {"secretName": "s", "optional": true}},
    {"name": "info", "downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
    {"name": "kube", "projected": {"sources": [
      {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
      {"configMap": {"name": "kube-root-ca.crt"}}, {"clusterTrustBundle": {"path": "x"}}]}},
    {"name": "host", "hostPath": {"path": "/"}}])");
  const Pod pod = Parse(std::move(object));
  ASSERT_FALSE(pod.invalid) << pod.invalid->message;
  const auto& volumes = pod.spec.volumes;
  EXPECT_EQ(std::get<EmptyDirVolume>(volumes[0].source).size_limit->value(), 1024 * 1024);
  const auto& config = std::get<ProjectedVolume>(volumes[1].source);
  EXPECT_EQ(config.default_mode, 0400);
  EXPECT_EQ(std::get<ConfigMapProjection>(config.sources[0]).items[0].mode, 0644);
  const auto& secret = std::get<ProjectedVolume>(volumes[2].source);
  EXPECT_EQ(std::get<SecretProjection>(secret.sources[0]).name, "s");
  const auto& projected = std::get<ProjectedVolume>(volumes[4].source);
  EXPECT_EQ(std::get<ServiceAccountTokenProjection>(projected.sources[0]).expiration,
            seconds(3607));
  EXPECT_EQ(std::get<UnsupportedProjection>(projected.sources[2]).type, "clusterTrustBundle");
  EXPECT_EQ(std::get<UnsupportedVolume>(volumes[5].source).type, "hostPath");
}

TEST(PodTest, NotesWhatTheTypesDoNotHold) {
  Json object = MinimalPod();
  object["spec"]["hostUsers"] = false;
  object["spec"]["resources"] = {{"limits", {{"cpu", "1"}}}};
  object["spec"]["containers"][0]["lifecycle"] = {{"preStop", {{"sleep", {{"seconds", 1}}}}}};
  object["spec"]["containers"][0]["volumeDevices"] = Json::array();
  object["spec"]["containers"][0]["env"] =
      Json::parse(R"([{"name": "X", "valueFrom": {"fileKeyRef": {"key": "k"}}}])");
  const Pod pod = Parse(std::move(object));
  ASSERT_FALSE(pod.invalid);
  EXPECT_THAT(pod.spec.not_understood,
              ElementsAre("spec.containers[0].env[0].valueFrom.fileKeyRef",
                          "spec.containers[0].lifecycle", "spec.hostUsers", "spec.resources"));
}

struct BadField {
  const char* pointer;
  Json value;
  const char* problem;
};

class BadPodTest : public testing::TestWithParam<BadField> {};

TEST_P(BadPodTest, NamesTheField) {
  Json object = MinimalPod();
  object[Json::json_pointer(GetParam().pointer)] = GetParam().value;
  const Result<Pod> pod = Pod::FromJson(std::move(object));
  ASSERT_TRUE(pod) << pod.error().message;
  ASSERT_TRUE(pod->invalid);
  EXPECT_EQ(pod->invalid->message, GetParam().problem);
  EXPECT_EQ(pod->meta.uid, "u-1");
  EXPECT_NE(pod->raw, nullptr);
}

INSTANTIATE_TEST_SUITE_P(
    Table,
    BadPodTest,
    testing::Values(
        BadField{"/spec", 5, "spec: must be an object"},
        BadField{"/spec/containers", Json::array(), "spec.containers: must not be empty"},
        BadField{"/spec/containers", "x", "spec.containers: must be a list"},
        BadField{"/spec/containers/0", 1, "spec.containers[0]: must be an object"},
        BadField{"/spec/containers/0/name", "../x",
                 "spec.containers[0].name: \"../x\" is not a DNS label"},
        BadField{"/spec/initContainers", Json::array({{{"name", "app"}}}),
                 "spec.containers[0].name: \"app\" is there twice"},
        BadField{"/spec/containers/0/ports",
                 Json::array({{{"containerPort", 80}}, {{"containerPort", "80"}}}),
                 "spec.containers[0].ports[1].containerPort: must be a number"},
        BadField{"/spec/containers/0/ports", Json::array({{{"containerPort", 70000}}}),
                 "spec.containers[0].ports[0].containerPort: must be between 1 and 65535"},
        BadField{"/spec/containers/0/ports",
                 Json::array({{{"containerPort", 1}, {"hostPort", 1e20}}}),
                 "spec.containers[0].ports[0].hostPort: must be a whole number"},
        BadField{"/spec/containers/0/image", Json::object(),
                 "spec.containers[0].image: must be a string"},
        BadField{"/spec/containers/0/command", Json::array({"a", 1}),
                 "spec.containers[0].command[1]: must be a string"},
        BadField{"/spec/containers/0/resources",
                 {{"limits", {{"cpu", "lots"}}}},
                 "spec.containers[0].resources.limits[cpu]: \"lots\" is not a quantity"},
        BadField{"/spec/containers/0/resources",
                 {{"limits", {{"cpu", "-1"}}}},
                 "spec.containers[0].resources.limits[cpu]: must not be negative"},
        BadField{"/spec/containers/0/livenessProbe",
                 {{"periodSeconds", 1}},
                 "spec.containers[0].livenessProbe: has no action"},
        BadField{"/spec/containers/0/tty", "yes", "spec.containers[0].tty: must be true or false"},
        BadField{"/spec/restartPolicy", "Sometimes",
                 "spec.restartPolicy: \"Sometimes\" is not one of Always, OnFailure, Never"},
        BadField{
            "/spec/volumes",
            Json::array({{{"name", "v"}, {"configMap", {{"name", "c"}, {"defaultMode", 9999}}}}}),
            "spec.volumes[0].configMap.defaultMode: must be between 0 and 07777"},
        BadField{"/spec/terminationGracePeriodSeconds", uint64_t{1} << 63U,
                 "spec.terminationGracePeriodSeconds: must be between -9223372036854775808 and "
                 "9223372036854775807"}));

TEST(PodTest, TooLongListsAreRefused) {
  Json object = MinimalPod();
  object["spec"]["containers"][0]["args"] = std::vector<std::string>(10'000, "x");
  const Pod pod = Parse(std::move(object));
  ASSERT_TRUE(pod.invalid);
  EXPECT_THAT(pod.invalid->message, HasSubstr("spec.containers[0].args: has more than"));
}

TEST(PodTest, HugeDurationsAreCut) {
  Json object = MinimalPod();
  object["spec"]["terminationGracePeriodSeconds"] = std::numeric_limits<int64_t>::max();
  const Pod pod = Parse(std::move(object));
  EXPECT_FALSE(pod.invalid);
  EXPECT_EQ(pod.spec.termination_grace_period, seconds(std::numeric_limits<int32_t>::max()));
}

TEST(PodTest, WithoutIdentityThereIsNoPod) {
  for (
      const char* text :
      {R"(null)", R"(5)", R"([])", R"({})", R"({"metadata": 1})",
       R"({"metadata": {"name": "a", "namespace": "b"}})",
       R"({"metadata": {"name": "a", "namespace": "../b", "uid": "x"}})",
       R"({"metadata": {"name": "a", "namespace": "b", "uid": ".."}})",
       R"({"metadata": {"name": "a/b", "namespace": "b", "uid": "x"}})",
       R"({"metadata": {"name": "a", "namespace": "b", "uid": "x", "deletionTimestamp": "soon"}})"}) {
    const Result<Pod> pod = Pod::FromJson(Json::parse(text));
    ASSERT_FALSE(pod) << text;
    EXPECT_THAT(pod.error().message,
                testing::AnyOf(testing::StartsWith("metadata"), "the object must be an object"))
        << text;
  }
}

TEST(QosTest, Classes) {
  const auto qos = [](const char* resources) {
    Json object = MinimalPod();
    object["spec"]["containers"][0]["resources"] = Json::parse(resources);
    return std::string(QosClassName(ComputeQosClass(Parse(std::move(object)).spec)));
  };
  EXPECT_EQ(qos("{}"), "BestEffort");
  EXPECT_EQ(qos(R"({"requests": {"ephemeral-storage": "1Gi"}})"), "BestEffort");
  EXPECT_EQ(qos(R"({"requests": {"cpu": "1"}})"), "Burstable");
  EXPECT_EQ(qos(R"({"limits": {"cpu": "1"}})"), "Burstable");
  EXPECT_EQ(qos(R"({"limits": {"cpu": "1", "memory": "1Gi"}})"), "Guaranteed");
  EXPECT_EQ(
      qos(R"({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1000m", "memory": "1024Mi"}})"),
      "Guaranteed");
  EXPECT_EQ(
      qos(R"({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "0", "memory": "1Gi"}})"),
      "Burstable");
}

}  // namespace
}  // namespace farlet::kube
