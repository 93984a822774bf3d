#include "provider/pod/env.h"

#include "provider/pod/references.h"
#include "tests/unit/provider/pod/pod_builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <map>
#include <string>

namespace farlet::pod {
namespace {

using Json = nlohmann::json;
using testing::ElementsAre;

struct ExpandCase {
  const char* text;
  const char* expanded;
};

class ExpandTest : public testing::TestWithParam<ExpandCase> {};

TEST_P(ExpandTest, Expands) {
  const std::map<std::string, std::string> variables{{"A", "1"}, {"B", "$(A)"}, {"EMPTY", ""}};
  EXPECT_EQ(Expand(GetParam().text, variables), GetParam().expanded);
}

INSTANTIATE_TEST_SUITE_P(Table,
                         ExpandTest,
                         testing::Values(ExpandCase{"", ""},
                                         ExpandCase{"plain", "plain"},
                                         ExpandCase{"x$(A)y", "x1y"},
                                         ExpandCase{"$(A)$(A)", "11"},
                                         ExpandCase{"$(B)", "$(A)"},
                                         ExpandCase{"$(EMPTY)!", "!"},
                                         ExpandCase{"$(NONE)", "$(NONE)"},
                                         ExpandCase{"$$(A)", "$(A)"},
                                         ExpandCase{"$$$(A)", "$1"},
                                         ExpandCase{"$$$$", "$$"},
                                         ExpandCase{"$", "$"},
                                         ExpandCase{"$A", "$A"},
                                         ExpandCase{"a$", "a$"},
                                         ExpandCase{"$(A", "$(A"},
                                         ExpandCase{"$(A $(A)", "$(A $(A)"},
                                         ExpandCase{"$()", "$()"},
                                         ExpandCase{"$(a$$", "$(a$"}));

class EnvTest : public testing::Test {
 protected:
  Result<std::vector<cri::EnvVar>> Make(const char* container) {
    Json app = {{"name", "app"}, {"image", "x"}};
    app.update(Json::parse(container));
    pod_ = BuildPod(
        {{"metadata", {{"labels", {{"tier", "web"}}}, {"annotations", {{"note", "a\nb"}}}}},
         {"spec", {{"containers", Json::array({app})}}}});
    const ObjectLookup lookup = objects_.Lookup();
    return MakeEnv(pod_.spec.containers[0], Context(lookup));
  }

  EnvContext Context(const ObjectLookup& lookup) {
    return {.pod = pod_,
            .objects = lookup,
            .pod_ips = {"10.0.0.7", "fd00::7"},
            .host_ip = "192.0.2.1",
            .node_name = "node-a",
            .node_allocatable = {{"cpu", *kube::Quantity::Parse("3500m")},
                                 {"memory", *kube::Quantity::Parse("1Gi")}},
            .service_env = {{"KUBERNETES_SERVICE_HOST", "10.96.0.1"}, {"DB_PORT", "5432"}}};
  }

  std::map<std::string, std::string> MakeMap(const char* container) {
    std::map<std::string, std::string> map;
    const auto env = Make(container);
    EXPECT_TRUE(env) << env.error().message;
    for (const cri::EnvVar& variable : env ? *env : std::vector<cri::EnvVar>()) {
      EXPECT_TRUE(map.emplace(variable.name, variable.value).second) << variable.name << " twice";
    }
    return map;
  }

  FakeObjects objects_;
  kube::Pod pod_;
};

TEST_F(EnvTest, OrderAndOverrides) {
  objects_.PutConfigMap("c", {{"A", "config"}, {"B", "config"}, {"odd key", "kept"}});
  objects_.PutSecret("s", {{"B", "c2VjcmV0"}});
  auto env = MakeMap(R"json({
    "envFrom": [{"configMapRef": {"name": "c"}}, {"secretRef": {"name": "s"}},
                {"prefix": "P_", "secretRef": {"name": "s"}},
                {"configMapRef": {"name": "missing", "optional": true}}],
    "env": [{"name": "A", "value": "own"}, {"name": "URL", "value": "$(A):$(B):$(DB_PORT):$(LATER)"},
            {"name": "LATER", "value": "x"}, {"name": "DB_PORT", "value": "1"},
            {"name": "AGAIN", "value": "$(DB_PORT)"}, {"name": "EMPTY"}]})json");
  EXPECT_EQ(env["A"], "own");
  EXPECT_EQ(env["B"], "secret");
  EXPECT_EQ(env["P_B"], "secret");
  EXPECT_EQ(env["odd key"], "kept");
  EXPECT_EQ(env["URL"], "own:secret:5432:$(LATER)");
  EXPECT_EQ(env["DB_PORT"], "1");
  EXPECT_EQ(env["AGAIN"], "1");
  EXPECT_EQ(env["EMPTY"], "");
  EXPECT_EQ(env["KUBERNETES_SERVICE_HOST"], "10.96.0.1");
}

TEST_F(EnvTest, KeyReferences) {
  objects_.PutConfigMap("c", {{"k", "v"}});
  objects_.PutSecret("s", {{"k", "c2VjcmV0"}});
  auto env = MakeMap(R"({"env": [
    {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}},
    {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
    {"name": "C", "valueFrom": {"secretKeyRef": {"name": "s", "key": "none", "optional": true}}},
    {"name": "D", "valueFrom": {"configMapKeyRef": {"name": "none", "key": "k", "optional": true}}}]})");
  EXPECT_EQ(env["A"], "v");
  EXPECT_EQ(env["B"], "secret");
  EXPECT_FALSE(env.contains("C"));
  EXPECT_FALSE(env.contains("D"));
}

struct EnvError {
  const char* container;
  Code code;
  const char* message;
};

TEST_F(EnvTest, Errors) {
  objects_.PutConfigMap("c", {{"k", "v"}});
  objects_.PutSecret("s", {{"k", "c2VjcmV0"}});
  objects_.PutSecret("bad", {{"k", 5}});
  objects_.Hide(kube::ObjectKind::kSecret, "later");
  for (
      const EnvError& test :
      {EnvError{R"({"envFrom": [{"configMapRef": {"name": "x"}}]})", Code::kNotFound,
                "configmap \"x\" not found"},
       EnvError{
           R"({"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "x", "key": "k"}}}]})",
           Code::kNotFound, "secret \"x\" not found"},
       EnvError{
           R"({"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "x"}}}]})",
           Code::kNotFound, "couldn't find key x in Secret shop/s"},
       EnvError{
           R"({"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "x"}}}]})",
           Code::kNotFound, "couldn't find key x in ConfigMap shop/c"},
       EnvError{R"({"envFrom": [{"secretRef": {"name": "later", "optional": true}}]})",
                Code::kUnavailable, "not read yet"},
       EnvError{R"({"envFrom": [{"secretRef": {"name": "bad"}}]})", Code::kInvalidArgument,
                "secret \"bad\": data[k]: must be a string"},
       EnvError{R"({"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.x"}}}]})",
                Code::kInvalidArgument, "unsupported fieldPath: spec.x"},
       EnvError{
           R"({"env": [{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.gpu"}}}]})",
           Code::kInvalidArgument, "unsupported container resource : limits.gpu"}}) {
    const auto env = Make(test.container);
    ASSERT_FALSE(env) << test.container;
    EXPECT_EQ(env.error().code, test.code) << test.container;
    EXPECT_EQ(env.error().message, test.message);
  }
}

struct FieldCase {
  const char* path;
  const char* value;
};

TEST_F(EnvTest, Fields) {
  ASSERT_TRUE(Make("{}"));
  const ObjectLookup lookup = objects_.Lookup();
  for (const FieldCase& test :
       {FieldCase{"metadata.name", "web"}, FieldCase{"metadata.namespace", "shop"},
        FieldCase{"metadata.uid", "uid-1"}, FieldCase{"spec.nodeName", "node-a"},
        FieldCase{"spec.serviceAccountName", "robot"}, FieldCase{"status.hostIP", "192.0.2.1"},
        FieldCase{"status.hostIPs", "192.0.2.1"}, FieldCase{"status.podIP", "10.0.0.7"},
        FieldCase{"status.podIPs", "10.0.0.7,fd00::7"}, FieldCase{"metadata.labels['tier']", "web"},
        FieldCase{"metadata.labels['none']", ""}, FieldCase{"metadata.labels", "tier=\"web\""},
        FieldCase{"metadata.annotations", "note=\"a\\nb\""}}) {
    const auto value = FieldValue({.field_path = test.path}, Context(lookup));
    ASSERT_TRUE(value) << test.path;
    EXPECT_EQ(*value, test.value) << test.path;
  }
  for (const char* path :
       {"metadata.labels['", "metadata.name['x']", "['x']", "", "metadata.labels[']"}) {
    EXPECT_FALSE(FieldValue({.field_path = path}, Context(lookup))) << path;
  }
}

struct ResourceCase {
  const char* resource;
  const char* divisor;
  const char* value;
};

TEST_F(EnvTest, Resources) {
  ASSERT_TRUE(Make(
      R"({"resources": {"requests": {"cpu": "250m", "memory": "64Mi"}, "limits": {"memory": "100M"}}})"));
  const ObjectLookup lookup = objects_.Lookup();
  const EnvContext context = Context(lookup);
  for (const ResourceCase& test :
       {ResourceCase{"requests.cpu", "0", "1"}, ResourceCase{"requests.cpu", "1m", "250"},
        ResourceCase{"requests.memory", "1Mi", "64"}, ResourceCase{"limits.memory", "1Mi", "96"},
        ResourceCase{"limits.cpu", "1m", "3500"}, ResourceCase{"limits.cpu", "1", "4"},
        ResourceCase{"limits.ephemeral-storage", "1", "0"},
        ResourceCase{"limits.hugepages-2Mi", "1", "0"}}) {
    const auto value = ResourceFieldValue(
        {.resource = test.resource, .divisor = *kube::Quantity::Parse(test.divisor)},
        &pod_.spec.containers[0], context);
    ASSERT_TRUE(value) << test.resource;
    EXPECT_EQ(*value, test.value) << test.resource << " / " << test.divisor;
  }
  EXPECT_FALSE(
      ResourceFieldValue({.container_name = "x", .resource = "limits.cpu"}, nullptr, context));
  EXPECT_TRUE(
      ResourceFieldValue({.container_name = "app", .resource = "limits.cpu"}, nullptr, context));
}

TEST(ReferencesTest, EverythingThatThePodNames) {
  const kube::Pod pod = BuildPod({{"spec", Json::parse(R"({
    "imagePullSecrets": [{"name": "pull"}],
    "volumes": [{"name": "a", "secret": {"secretName": "vol"}},
                {"name": "b", "projected": {"sources": [{"configMap": {"name": "root-ca"}}, {"secret": {"name": "vol"}}]}}],
    "initContainers": [{"name": "i", "image": "x", "envFrom": [{"configMapRef": {"name": "from"}}]}],
    "containers": [{"name": "app", "image": "x", "env": [
        {"name": "A", "valueFrom": {"secretKeyRef": {"name": "key", "key": "k"}}}]}]})")}});
  std::vector<std::string> names;
  for (const kube::ObjectKey& key : ReferencedObjects(pod)) {
    EXPECT_EQ(key.object_namespace, "shop");
    names.push_back((key.kind == kube::ObjectKind::kSecret ? "s:" : "c:") + key.name);
  }
  EXPECT_THAT(names, ElementsAre("c:from", "c:root-ca", "s:key", "s:pull", "s:vol"));
}

}  // namespace
}  // namespace farlet::pod
