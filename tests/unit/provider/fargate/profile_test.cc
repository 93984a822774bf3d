#include "provider/fargate/profile.h"

#include "provider/fargate/profile_file.h"
#include "provider/fargate/yaml_document.h"
#include "tests/fakes/clock/fake_clock.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace farlet::fargate {
namespace {

using nlohmann::json;

std::string Problem(const std::string& yaml) {
  const auto profiles = ParseProfiles(yaml, "c.yaml");
  return profiles ? "" : profiles.error().message;
}

constexpr char kHead[] = "apiVersion: eksctl.io/v1alpha5\nkind: ClusterConfig\n";

TEST(ProfileTest, ReadsTheObject) {
  const auto profile = Profile::FromJson(json::parse(R"({
    "metadata": {"name": "fp-dev", "uid": "u", "generation": 3},
    "spec": {
      "selectors": [{"namespace": "dev*", "labels": {"env": "d?v"}}, {"namespace": "x"}],
      "podExecutionRoleArn": "arn:aws:iam::1:role/r", "subnets": ["s-1"], "tags": {"k": "v"},
      "validation": "Warn",
      "allow": {"capabilities": ["cap_net_admin", "SYS_PTRACE"], "hostPaths": ["/data"],
                "volumeTypes": ["nfs"], "resources": ["nvidia.com/gpu"],
                "runtimeClasses": ["kata"], "ulimits": ["nofile"], "privileged": true, "hostPorts": true}}})"));
  ASSERT_TRUE(profile) << profile.error().message;
  EXPECT_EQ(profile->meta.name, "fp-dev");
  EXPECT_EQ(profile->selectors,
            (std::vector<Selector>{{.object_namespace = "dev*", .labels = {{"env", "d?v"}}},
                                   {.object_namespace = "x"}}));
  EXPECT_EQ(profile->validation, Validation::kWarn);
  EXPECT_EQ(profile->allow, (AllowList{.capabilities = {"NET_ADMIN", "SYS_PTRACE"},
                                       .host_paths = {"/data"},
                                       .volume_types = {"nfs"},
                                       .resources = {"nvidia.com/gpu"},
                                       .runtime_classes = {"kata"},
                                       .ulimits = {"nofile"},
                                       .privileged = true,
                                       .host_ports = true}));
  EXPECT_EQ(profile->WithoutEffect(),
            (std::vector<std::string>{"podExecutionRoleArn", "subnets", "tags"}));
}

TEST(ProfileTest, ObjectIsReadAsItIsWritten) {
  const json object = json::parse(R"({
    "apiVersion": "farlet.dev/v1alpha1", "kind": "FargateProfile", "metadata": {"name": "p"},
    "spec": {"selectors": [{"namespace": "a", "labels": {"k": "v"}}, {"namespace": "b"}],
             "podExecutionRoleArn": "r", "subnets": ["s"], "tags": {"t": "u"},
             "validation": "Enforce",
             "allow": {"capabilities": ["*"], "hostPorts": true, "privileged": true}}})");
  const auto profile = Profile::FromJson(object);
  ASSERT_TRUE(profile);
  EXPECT_EQ(ProfileToJson(*profile), object);
}

TEST(ProfileTest, ErrorsNameTheField) {
  const struct {
    const char* spec;
    const char* message;
  } cases[] = {
      {R"({"selectors": [{"namespace": 5}]})", "spec.selectors[0].namespace: must be a string"},
      {R"({"selectors": {}})", "spec.selectors: must be a list"},
      {R"({"selectors": [{"namespace": "x", "labels": {"a": 1}}]})",
       "spec.selectors[0].labels[a]: must be a string"},
      {R"({"validation": "Off"})", "spec.validation: \"Off\" is neither Enforce nor Warn"},
      {R"({"allow": {"privileged": "yes"}})", "spec.allow.privileged: must be true or false"},
      {"null", "spec: is missing"},
  };

  for (const auto& one : cases) {
    const auto profile =
        Profile::FromJson({{"metadata", {{"name", "p"}}}, {"spec", json::parse(one.spec)}});
    ASSERT_FALSE(profile) << one.spec;
    EXPECT_EQ(profile.error().message, one.message);
  }
}

TEST(CheckProfileTest, HasEksctlsMessages) {
  Profile profile;
  const auto problem = [&profile] {
    const Status checked = CheckProfile(profile);
    return checked ? "" : checked.error().message;
  };
  EXPECT_EQ(problem(), "invalid Fargate profile: empty name");
  profile.meta.name = "eks-x";
  EXPECT_EQ(problem(), "invalid Fargate profile \"eks-x\": name should NOT start with \"eks-\"");
  profile.meta.name = "x";
  EXPECT_EQ(problem(), "invalid Fargate profile \"x\": no profile selector");
  profile.selectors.resize(2);
  profile.selectors[0].object_namespace = "ok";
  EXPECT_EQ(problem(),
            "invalid Fargate profile \"x\": invalid profile selector at index #1: empty namespace");
  profile.selectors[1].object_namespace = "dev-*";
  EXPECT_EQ(problem(), "");
}

TEST(CheckProfileTest, HasLimits) {
  Profile profile;
  profile.meta.name = "x";
  profile.selectors.resize(5, {.object_namespace = "a"});
  EXPECT_TRUE(CheckProfile(profile));
  profile.selectors.resize(6, {.object_namespace = "a"});
  EXPECT_EQ(CheckProfile(profile).error().message,
            "invalid Fargate profile \"x\": 6 profile selectors, at most 5 are allowed");
  EXPECT_TRUE(CheckProfile(profile, {.selectors = 6}));
  profile.selectors.resize(1);
  for (const char* key : {"a", "b", "c", "d", "e"}) {
    profile.selectors[0].labels[key] = "v";
  }
  EXPECT_TRUE(CheckProfile(profile));
  profile.selectors[0].labels["f"] = "v";
  EXPECT_EQ(CheckProfile(profile).error().message,
            "invalid Fargate profile \"x\": invalid profile selector at index #0: 6 labels, at "
            "most 5 are allowed");
}

TEST(CheckProfileTest, RefusesWhatCanMatchNothing) {
  Profile profile;
  profile.meta.name = "x";
  profile.selectors = {{.object_namespace = "Dev"}};
  EXPECT_EQ(CheckProfile(profile).error().message,
            "invalid Fargate profile \"x\": invalid profile selector at index #0: namespace "
            "\"Dev\" can match none (lower-case letters, digits, '-', '*', '?')");
  profile.selectors = {{.object_namespace = "d", .labels = {{"a b", "c"}}}};
  EXPECT_FALSE(CheckProfile(profile));
  profile.selectors = {{.object_namespace = "d", .labels = {{"a", std::string(64, 'v')}}}};
  EXPECT_FALSE(CheckProfile(profile));
  profile.selectors = {{.object_namespace = "d", .labels = {{"example.org/a_*", "V.?"}}}};
  EXPECT_TRUE(CheckProfile(profile));
  for (const std::string& name :
       {std::string("Upper"), std::string("a_b"), std::string("-a"), std::string(64, 'a')}) {
    profile.meta.name = name;
    EXPECT_FALSE(CheckProfile(profile)) << name;
  }
}

// eksctl's own example, with what else such a file has.
TEST(ProfileFileTest, ReadsAnEksctlFile) {
  const auto profiles = ParseProfiles(R"(
apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata:
  name: c
  region: ap-northeast-1
nodeGroups:
  - name: ng-1
    desiredCapacity: 2
fargateProfiles:
  - name: fp-default
    selectors:
      - namespace: default
      - namespace: kube-system
  - name: fp-dev
    podExecutionRoleARN: arn:aws:iam::123:role/x
    selectors:
      - namespace: dev
        labels:
          env: dev
          checks: passed
    subnets: [subnet-1, subnet-2]
    tags: {k: v}
    status: ACTIVE
)",
                                      "c.yaml");
  ASSERT_TRUE(profiles) << profiles.error().message;
  ASSERT_EQ(profiles->size(), 2u);
  EXPECT_EQ((*profiles)[0].meta.name, "fp-default");
  EXPECT_EQ((*profiles)[0].selectors.size(), 2u);
  const Profile& dev = (*profiles)[1];
  EXPECT_EQ(dev.meta.name, "fp-dev");
  EXPECT_EQ(dev.pod_execution_role_arn, "arn:aws:iam::123:role/x");
  EXPECT_EQ(dev.selectors,
            (std::vector<Selector>{
                {.object_namespace = "dev", .labels = {{"checks", "passed"}, {"env", "dev"}}}}));
  EXPECT_EQ(dev.subnets, (std::vector<std::string>{"subnet-1", "subnet-2"}));
  EXPECT_EQ(dev.tags, (kube::StringMap{{"k", "v"}}));
}

TEST(ProfileFileTest, ReadsObjectsAndSeveralDocuments) {
  const auto profiles = ParseProfiles(std::string(kHead) +
                                          "fargateProfiles: [{name: a, selectors: [{namespace: "
                                          "x}]}]\n---\n---\n"
                                          "apiVersion: farlet.dev/v1alpha1\nkind: FargateProfile\n"
                                          "metadata: {name: b}\n"
                                          "spec: {selectors: [{namespace: '*'}]}\n",
                                      "c.yaml");
  ASSERT_TRUE(profiles) << profiles.error().message;
  ASSERT_EQ(profiles->size(), 2u);
  EXPECT_EQ((*profiles)[1].meta.name, "b");
  EXPECT_TRUE(ParseProfiles(kHead, "c.yaml")->empty());
}

TEST(ProfileFileTest, ErrorsNameFileLineAndField) {
  const std::string head = kHead;

  const struct {
    std::string yaml;
    const char* message;
  } cases[] = {
      {head + "fargateProfiles:\n- selectors:\n  - namespace: x\n",
       "c.yaml: line 4: fargateProfiles[0]: invalid Fargate profile: empty name"},
      {head + "fargateProfiles:\n- name: eks-a\n  selectors:\n  - namespace: x\n",
       "c.yaml: line 4: fargateProfiles[0]: invalid Fargate profile \"eks-a\": name should NOT "
       "start with \"eks-\""},
      {head + "fargateProfiles:\n- name: a\n  selectors: [{namespace: x}]\n- name: b\n",
       "c.yaml: line 6: fargateProfiles[1]: invalid Fargate profile \"b\": no profile selector"},
      {head + "fargateProfiles:\n- name: a\n  selectors:\n  - labels: {a: b}\n",
       "c.yaml: line 4: fargateProfiles[0]: invalid Fargate profile \"a\": invalid profile "
       "selector at index #0: empty namespace"},
      {head + "fargateProfiles:\n- name: a\n  selectors:\n  - namespace: x\n    labels:\n"
              "      env: 5\n",
       "c.yaml: line 8: fargateProfiles[0].selectors[0].labels[env]: must be a string"},
      {head + "fargateProfiles:\n- name: a\n  selector:\n  - namespace: x\n",
       "c.yaml: line 5: fargateProfiles[0].selector: there is no such field"},
      {head + "fargateProfiles:\n- name: a\n  selectors:\n  - namespace: x\n    label: {}\n",
       "c.yaml: line 7: fargateProfiles[0].selectors[0].label: there is no such field"},
      {head + "fargateProfiles: x\n", "c.yaml: line 3: fargateProfiles: must be a list"},
      {head + "fargateProfiles:\n- name: a\n  selectors: [{namespace: x}]\n- name: a\n  selectors: "
              "[{namespace: y}]\n",
       "c.yaml: line 6: fargateProfiles[1]: invalid Fargate profile \"a\": name is there twice"},
      {"apiVersion: farlet.dev/v1alpha1\nkind: FargateProfile\nmetadata: {name: b}\nspec:\n"
       "  selectors:\n  - namespace: [x]\n",
       "c.yaml: line 6: spec.selectors[0].namespace: must be a string"},
      {"a: b\nkind: Pod\n",
       "c.yaml: line 2: kind: must be ClusterConfig (eksctl.io/v1alpha5) or FargateProfile "
       "(farlet.dev/v1alpha1)"},
      {"a: [\n", "c.yaml: line 2: end of sequence flow not found"},
      {"a: 1\na: 2\n", "c.yaml: line 2: \"a\" is there twice"},
  };

  for (const auto& one : cases) {
    EXPECT_EQ(Problem(one.yaml), one.message);
  }
}

TEST(ProfileFileTest, FileThatIsNotThere) {
  const auto profiles = LoadProfiles("/nonexistent/profiles.yaml");
  ASSERT_FALSE(profiles);
  EXPECT_NE(profiles.error().message.find("/nonexistent/profiles.yaml"), std::string::npos);
}

TEST(FollowedProfilesTest, FollowsChangesAndKeepsTheLastGoodOnes) {
  const std::filesystem::path file =
      std::filesystem::temp_directory_path() / ("farlet-profiles-" + std::to_string(::getpid()));
  const auto write = [&](const std::string& name) {
    std::ofstream(file) << kHead << "fargateProfiles: [{name: " << name
                        << ", selectors: [{namespace: x}]}]\n";
  };
  testing::FakeClock clock;
  write("a");
  auto followed = FollowedProfiles::Open(file, clock);
  ASSERT_TRUE(followed) << followed.error().message;
  const auto name = [&] { return (*followed)->Current()->all().at(0)->meta.name; };
  EXPECT_EQ(name(), "a");
  write("b");
  EXPECT_EQ(name(), "a");
  clock.Advance(std::chrono::seconds(1));
  EXPECT_EQ(name(), "b");
  write("eks-c");
  clock.Advance(std::chrono::seconds(1));
  EXPECT_EQ(name(), "b");
  std::filesystem::remove(file);
  clock.Advance(std::chrono::seconds(1));
  EXPECT_EQ(name(), "b");
  EXPECT_FALSE(FollowedProfiles::Open(file, clock));
}

json YamlOf(const std::string& text) {
  const auto documents = YamlDocument::ParseAll(text);
  EXPECT_TRUE(documents) << documents.error().message;
  return documents->at(0).json();
}

TEST(YamlTest, ScalarsHaveTypes) {
  EXPECT_EQ(YamlOf("a: 1\nb: '1'\nc: true\nd: \"true\"\ne: 1.5\nf: 500m\ng: ~\nh: -3\ni: 1e3\n"
                   "j: null\nk: .5.\nl: 10.0.0.1\nm: |\n  text\n"),
            json::parse(R"({"a": 1, "b": "1", "c": true, "d": "true", "e": 1.5, "f": "500m",
                            "g": null, "h": -3, "i": 1000.0, "j": null, "k": ".5.",
                            "l": "10.0.0.1", "m": "text\n"})"));
}

TEST(YamlTest, ABombOfAliasesIsRefused) {
  std::string text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 10; ++i) {
    const std::string before = "*a" + std::to_string(i - 1);
    text += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int j = 0; j < 9; ++j) {
      text += before + ", ";
    }
    text += before + "]\n";
  }
  const auto documents = YamlDocument::ParseAll(text);
  ASSERT_FALSE(documents);
  EXPECT_NE(documents.error().message.find("too large or too deep"), std::string::npos);
}

TEST(YamlTest, ManyDocumentsHaveOneBound) {
  std::string large = "a: &a [";
  for (int i = 0; i < 1000; ++i) {
    large += "0, ";
  }
  large += "]\nb: [";
  for (int i = 0; i < 100; ++i) {
    large += "*a, ";
  }
  large += "]\n";
  EXPECT_TRUE(YamlDocument::ParseAll(large));
  const auto three = YamlDocument::ParseAll(large + "---\n" + large + "---\n" + large);
  ASSERT_FALSE(three);
  EXPECT_NE(three.error().message.find("too large or too deep"), std::string::npos);
}

TEST(ProfileFileTest, WhatBelongsToNoDocumentIsRefused) {
  EXPECT_EQ(Problem(", c\n"), "c.yaml: line 1: too many documents, or what belongs to none");
}

TEST(ProfileFileTest, ControlCharactersAreRefused) {
  EXPECT_EQ(Problem(std::string("a: b\n,\0", 7)), "c.yaml: line 2: control character 0x00");
}

TEST(ProfileFileTest, WhatIsNotUtf8IsRefusedWithItsLine) {
  EXPECT_EQ(Problem(std::string(kHead) + "fargateProfiles:\n  - name: \"\xff\"\n"),
            "c.yaml: line 4: not UTF-8");
  EXPECT_EQ(Problem(std::string(kHead) + "fargateProfiles:\n  - \"na\\nme\": x\n"),
            "c.yaml: line 4: fargateProfiles[0].na me: there is no such field");
}

}  // namespace
}  // namespace farlet::fargate
