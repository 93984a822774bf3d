#include "provider/fargate/admission.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <memory>
#include <string>

namespace farlet::fargate {
namespace {

using nlohmann::json;
using Kind = Decision::Kind;

ProfileSet Profiles(const char* spec = R"({"selectors": [{"namespace": "dev"}]})") {
  const auto profile =
      Profile::FromJson({{"metadata", {{"name", "fp-dev"}}}, {"spec", json::parse(spec)}});
  EXPECT_TRUE(profile) << profile.error().message;
  return ProfileSet({std::make_shared<const Profile>(*profile)});
}

json Pod(const char* spec = R"({"containers": [{"name": "c"}]})") {
  return {{"metadata", {{"generateName", "web-"}}}, {"spec", json::parse(spec)}};
}

Decision DecideFor(const json& pod,
                   const ProfileSet& profiles = Profiles(),
                   const AdmissionOptions& options = {}) {
  auto decision = Decide(pod, "dev", profiles, options);
  EXPECT_TRUE(decision) << decision.error().message;
  return decision ? *decision : Decision();
}

// The pod after its patch.
json Patched(const json& pod, const Decision& decision) {
  return decision.patch.empty() ? pod : pod.patch(json::parse(decision.patch));
}

TEST(AdmissionTest, MakesAFargatePod) {
  const json pod = Pod(R"({"schedulerName": "fargate-scheduler", "containers": [
      {"name": "web", "image": "nginx",
       "resources": {"requests": {"cpu": "250m", "memory": "256Mi"},
                     "limits": {"cpu": "500m", "memory": "512Mi"}}},
      {"name": "log"}]})");
  const Decision decision = DecideFor(pod);
  EXPECT_EQ(decision.kind, Kind::kAdmitted);
  EXPECT_EQ(decision.profile, "fp-dev");
  EXPECT_TRUE(decision.warnings.empty());
  EXPECT_EQ(Patched(pod, decision), json::parse(R"({
    "metadata": {"generateName": "web-",
                 "labels": {"eks.amazonaws.com/fargate-profile": "fp-dev"},
                 "annotations": {"CapacityProvisioned": "0.25vCPU 0.5GB"}},
    "spec": {"schedulerName": "default-scheduler", "runtimeClassName": "farlet",
      "nodeSelector": {"eks.amazonaws.com/compute-type": "fargate"},
      "tolerations": [{"key": "eks.amazonaws.com/compute-type", "operator": "Equal",
                       "value": "fargate", "effect": "NoSchedule"}],
      "containers": [
        {"name": "web", "image": "nginx",
         "resources": {"requests": {"cpu": "250m", "memory": "256Mi",
                                    "farlet.dev/provisioned-millicpu": "250",
                                    "farlet.dev/provisioned-mebibytes": "512"},
                       "limits": {"cpu": "500m", "memory": "512Mi",
                                  "farlet.dev/provisioned-millicpu": "250",
                                  "farlet.dev/provisioned-mebibytes": "512"}}},
        {"name": "log"}]}})"));
}

TEST(AdmissionTest, KeepsWhatThePodHas) {
  json pod = Pod(R"({"nodeSelector": {"zone": "a"}, "runtimeClassName": "farlet",
                     "schedulerName": "default-scheduler",
                     "tolerations": [{"key": "t", "operator": "Exists"}],
                     "containers": [{"name": "c"}]})");
  pod["metadata"]["labels"] = {{"app", "web"}};
  pod["metadata"]["annotations"] = {{"CapacityProvisioned", "16vCPU 120GB"}, {"x", "y"}};
  const json after = Patched(pod, DecideFor(pod));
  EXPECT_EQ(after["metadata"]["labels"]["app"], "web");
  EXPECT_EQ(after["metadata"]["annotations"],
            (json{{"CapacityProvisioned", "0.25vCPU 0.5GB"}, {"x", "y"}}));
  EXPECT_EQ(after["spec"]["nodeSelector"],
            (json{{"zone", "a"}, {"eks.amazonaws.com/compute-type", "fargate"}}));
  EXPECT_EQ(after["spec"]["tolerations"].size(), 2u);
  EXPECT_EQ(after["spec"]["runtimeClassName"], "farlet");
}

TEST(AdmissionTest, IsRepeatable) {
  const json pod = Pod();
  const json once = Patched(pod, DecideFor(pod));
  const Decision again = DecideFor(once);
  EXPECT_EQ(again.kind, Kind::kAdmitted);
  EXPECT_EQ(again.patch, "");
}

TEST(AdmissionTest, PrefixRuntimeClassAndCountingAreSettings) {
  const json pod = Pod();
  const AdmissionOptions options{
      .names = Names("example.org"), .runtime_class = "", .count_provisioned = false};
  EXPECT_EQ(Patched(pod, DecideFor(pod, Profiles(), options)), json::parse(R"({
    "metadata": {"generateName": "web-",
                 "labels": {"example.org/fargate-profile": "fp-dev"},
                 "annotations": {"CapacityProvisioned": "0.25vCPU 0.5GB"}},
    "spec": {"nodeSelector": {"example.org/compute-type": "fargate"},
      "tolerations": [{"key": "example.org/compute-type", "operator": "Equal",
                       "value": "fargate", "effect": "NoSchedule"}],
      "containers": [{"name": "c"}]}})"));
}

TEST(AdmissionTest, LeavesOthersAlone) {
  const Decision decision = *Decide(Pod(), "prod", Profiles(), AdmissionOptions());
  EXPECT_EQ(decision.kind, Kind::kUntouched);
  EXPECT_EQ(decision.patch, "");
  EXPECT_TRUE(decision.warnings.empty());
}

TEST(AdmissionTest, NamespaceMayStandInThePod) {
  json pod = Pod();
  pod["metadata"]["namespace"] = "dev";
  EXPECT_EQ(Decide(pod, "", Profiles(), AdmissionOptions())->kind, Kind::kAdmitted);
}

TEST(AdmissionTest, DaemonSetsAndOptedOutPodsAreLeftAlone) {
  json daemon = Pod();
  daemon["metadata"]["ownerReferences"] = {
      {{"apiVersion", "apps/v1"}, {"kind", "DaemonSet"}, {"name", "d"}, {"controller", true}}};
  EXPECT_EQ(DecideFor(daemon).kind, Kind::kUntouched);
  json other = Pod();
  other["metadata"]["annotations"] = {{"eks.amazonaws.com/compute-type", "ec2"}};
  EXPECT_EQ(DecideFor(other).kind, Kind::kUntouched);
}

TEST(AdmissionTest, APodThatWantsFargateIsToldThatNoProfileMatches) {
  const char* expected =
      "this pod does not run on Fargate: no selector of a Fargate profile matches it; it stays "
      "Pending until a FargateProfile selects it (namespace \"prod\")";
  for (const char* spec :
       {R"({"nodeSelector": {"eks.amazonaws.com/compute-type": "fargate"},
            "containers": [{"name": "c"}]})",
        R"({"schedulerName": "fargate-scheduler", "containers": [{"name": "c"}]})"}) {
    const Decision decision = *Decide(Pod(spec), "prod", Profiles(), AdmissionOptions());
    EXPECT_EQ(decision.kind, Kind::kUntouched);
    EXPECT_EQ(decision.warnings, std::vector<std::string>{expected});
  }
}

TEST(AdmissionTest, AWrongForcedProfileIsSaid) {
  json pod = Pod();
  pod["metadata"]["labels"] = {{"eks.amazonaws.com/fargate-profile", "nope"}};
  EXPECT_EQ(DecideFor(pod).warnings,
            std::vector<std::string>{
                "this pod does not run on Fargate: its label eks.amazonaws.com/fargate-profile "
                "asks for profile \"nope\", which does not exist"});
}

TEST(AdmissionTest, RefusesWithEveryReason) {
  const Decision decision = DecideFor(Pod(R"({"hostNetwork": true, "containers": [
      {"name": "c", "securityContext": {"privileged": true},
       "resources": {"requests": {"cpu": "17"}}}]})"));
  EXPECT_EQ(decision.kind, Kind::kRefused);
  EXPECT_EQ(decision.profile, "fp-dev");
  EXPECT_EQ(decision.message,
            "Pod not supported on Fargate: fields not supported: HostNetwork, invalid "
            "SecurityContext fields: Privileged; Your pod's cpu/memory requirements exceed the max "
            "Fargate configuration");
}

TEST(AdmissionTest, WarnModeAdmits) {
  constexpr char kSpec[] = R"({"hostNetwork": true, "containers": [{"name": "c"}]})";
  const std::vector<std::string> warning{
      "Pod not supported on Fargate: fields not supported: HostNetwork"};
  const Decision by_option = DecideFor(Pod(kSpec), Profiles(), {.validation = Validation::kWarn});
  EXPECT_EQ(by_option.kind, Kind::kAdmitted);
  EXPECT_EQ(by_option.warnings, warning);
  EXPECT_NE(by_option.patch, "");
  const Decision by_profile = DecideFor(
      Pod(kSpec), Profiles(R"({"selectors": [{"namespace": "*"}], "validation": "Warn"})"));
  EXPECT_EQ(by_profile.kind, Kind::kAdmitted);
  // The profile's own word counts more.
  EXPECT_EQ(DecideFor(Pod(kSpec),
                      Profiles(R"({"selectors": [{"namespace": "*"}], "validation": "Enforce"})"),
                      {.validation = Validation::kWarn})
                .kind,
            Kind::kRefused);
}

TEST(AdmissionTest, WithoutASizeThereIsNoAdmission) {
  EXPECT_EQ(DecideFor(Pod(R"({"containers": [
                        {"name": "c", "resources": {"requests": {"memory": "1Ti"}}}]})"),
                      Profiles(), {.validation = Validation::kWarn})
                .message,
            kTooLarge);
}

TEST(AdmissionTest, ProfilesAllow) {
  EXPECT_EQ(DecideFor(Pod(R"({"containers": [{"name": "c", "securityContext":
                        {"capabilities": {"add": ["NET_ADMIN"]}}}]})"),
                      Profiles(R"({"selectors": [{"namespace": "dev"}],
                                   "allow": {"capabilities": ["NET_ADMIN"]}})"))
                .kind,
            Kind::kAdmitted);
}

TEST(AdmissionTest, SelectorOfOtherNodesIsReplacedAndSaid) {
  const json pod = Pod(R"({"nodeSelector": {"eks.amazonaws.com/compute-type": "ec2"},
                           "containers": [{"name": "c"}]})");
  const Decision decision = DecideFor(pod);
  EXPECT_EQ(Patched(pod, decision)["spec"]["nodeSelector"]["eks.amazonaws.com/compute-type"],
            "fargate");
  ASSERT_EQ(decision.warnings.size(), 1u);
}

TEST(BoundPodTest, IsCheckedOnceMore) {
  const auto refusal = [](const char* spec, const ProfileSet& profiles = Profiles()) {
    return RefusalOfBound(Pod(spec), "dev", profiles, {});
  };
  constexpr char kBad[] = R"({"nodeName": "n", "hostPID": true, "containers": [{"name": "c"}]})";
  EXPECT_EQ(refusal(kBad), "Pod not supported on Fargate: fields not supported: HostPID");
  EXPECT_EQ(refusal(R"({"nodeName": "n", "containers": [{"name": "c"}]})"), "");
  EXPECT_EQ(refusal(R"({"nodeName": "n"})"), "spec.containers: is missing");
  EXPECT_EQ(refusal(kBad, Profiles(R"({"selectors": [{"namespace": "prod"}]})")), "");
  EXPECT_EQ(refusal(kBad, Profiles(R"({"selectors": [{"namespace": "*"}], "validation": "Warn"})")),
            "");
}

TEST(AdmissionTest, APodThatCannotBeReadNamesTheField) {
  const auto decision = Decide(Pod(R"({"containers": "x"})"), "dev", Profiles(), {});
  ASSERT_FALSE(decision);
  EXPECT_EQ(decision.error().message, "spec.containers: must be a list");
  EXPECT_EQ(Decide(Pod("{}"), "dev", Profiles(), {}).error().message,
            "spec.containers: is missing");
}

}  // namespace
}  // namespace farlet::fargate
