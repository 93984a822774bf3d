#include "provider/fargate/explain.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <memory>
#include <string>

namespace farlet::fargate {
namespace {

using nlohmann::json;

ProfileSet Profiles() {
  Profile first;
  first.meta.name = "a";
  first.selectors = {{.object_namespace = "prod*"},
                     {.object_namespace = "dev", .labels = {{"env", "test"}}}};
  Profile second;
  second.meta.name = "b";
  second.selectors = {{.object_namespace = "dev"}};
  return ProfileSet(
      {std::make_shared<const Profile>(second), std::make_shared<const Profile>(first)});
}

json Deployment() {
  return json::parse(R"({"kind": "Deployment", "metadata": {"name": "web", "namespace": "dev"},
    "spec": {"template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [
      {"name": "c", "resources": {"requests": {"cpu": "250m", "memory": "256Mi"}}}]}}}})");
}

TEST(ExplainTest, SaysWhyAndHowLarge) {
  const auto explained = Explain(Deployment(), "default", Profiles(), {});
  ASSERT_TRUE(explained) << explained.error().message;
  EXPECT_EQ(explained->outcome, Decision::Kind::kAdmitted);
  EXPECT_EQ(explained->text,
            "Deployment dev/web: runs on Fargate, profile \"b\"\n"
            "  size: 0.25vCPU 0.5GB for 250 mCPU and 256 MiB and 256 MiB of overhead; machine 250 "
            "mCPU, 512 MiB; ephemeral storage 20 GiB\n"
            "  profile a\n"
            "    selector #0 (namespace prod*): namespace \"dev\" is not \"prod*\"\n"
            "    selector #1 (namespace dev, labels env=test): no label env=test\n"
            "  profile b\n"
            "    selector #0 (namespace dev): matches\n");
}

TEST(ExplainTest, SaysWhatIsRefused) {
  json manifest = Deployment();
  manifest["spec"]["template"]["spec"]["hostPID"] = true;
  const auto explained = Explain(manifest, "default", Profiles(), {});
  EXPECT_EQ(explained->outcome, Decision::Kind::kRefused);
  EXPECT_EQ(explained->text.substr(0, explained->text.find("  profile a")),
            "Deployment dev/web: is refused, profile \"b\"\n"
            "  Pod not supported on Fargate: fields not supported: HostPID\n");
}

TEST(ExplainTest, SaysWhyNot) {
  json manifest = Deployment();
  manifest["kind"] = "DaemonSet";
  EXPECT_EQ(Explain(manifest, "default", Profiles(), {})->text.substr(0, 76),
            "DaemonSet dev/web: does not run on Fargate: it belongs to a DaemonSet\n  prof");
  manifest = {{"kind", "Pod"},
              {"metadata", {{"name", "p"}}},
              {"spec", {{"containers", {{{"name", "c"}}}}}}};
  EXPECT_EQ(
      Explain(manifest, "default", ProfileSet(), {})->text,
      "Pod default/p: does not run on Fargate: no selector of a Fargate profile matches it\n");
  EXPECT_EQ(Explain(manifest, "dev", Profiles(), {})->outcome, Decision::Kind::kAdmitted);
}

TEST(ExplainTest, OtherObjectsAreNamed) {
  EXPECT_EQ(Explain({{"kind", "Service"}}, "default", {}, {}).error().message,
            "kind: \"Service\" has no pods (Pod, CronJob, Deployment, ReplicaSet, StatefulSet, "
            "DaemonSet, ReplicationController, Job)");
  EXPECT_EQ(Explain({{"kind", "Job"}}, "default", {}, {}).error().message,
            "/spec/template: is missing");
}

}  // namespace
}  // namespace farlet::fargate
