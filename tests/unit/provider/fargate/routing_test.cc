#include "provider/fargate/routing.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <memory>
#include <string>

namespace farlet::fargate {
namespace {

using nlohmann::json;
using Kind = RoutePlan::Kind;

ProfileSet Profiles() {
  Profile profile;
  profile.meta.name = "fp";
  profile.selectors = {{.object_namespace = "dev"}};
  return ProfileSet({std::make_shared<const Profile>(profile)});
}

// A pod that the scheduler found no node for; `kind` of its controller, empty: none.
json Waiting(const std::string& kind, const std::string& object_namespace = "dev") {
  json pod{{"metadata", {{"name", "p"}, {"namespace", object_namespace}, {"uid", "u"}}},
           {"spec", {{"containers", {{{"name", "c"}}}}}},
           {"status",
            {{"phase", "Pending"},
             {"conditions",
              {{{"type", "PodScheduled"}, {"status", "False"}, {"reason", "Unschedulable"}}}}}}};
  if (!kind.empty()) {
    pod["metadata"]["ownerReferences"] = {
        {{"kind", kind}, {"name", "o"}, {"uid", "owner"}, {"controller", true}}};
  }
  return pod;
}

RoutePlan Plan(const json& pod) {
  return PlanRoute(pod, Profiles(), {});
}

TEST(PlanRouteTest, PodsOfControllersThatMakeThemAnewAreRecreated) {
  for (const char* kind : {"ReplicaSet", "StatefulSet", "ReplicationController"}) {
    const RoutePlan plan = Plan(Waiting(kind));
    EXPECT_EQ(plan.kind, Kind::kRecreate) << kind;
    EXPECT_EQ(plan.profile, "fp");
    EXPECT_EQ(plan.owner, "owner");
  }
}

TEST(PlanRouteTest, OthersAreToldWhatToDo) {
  const std::string begin =
      "Fargate profile \"fp\" matches this pod now, but was not there when it was created: delete "
      "and create it again to run it on Fargate ";
  EXPECT_EQ(Plan(Waiting("")).kind, Kind::kTell);
  EXPECT_EQ(Plan(Waiting("")).message, begin + "(it has no controller that would make it anew)");
  EXPECT_EQ(Plan(Waiting("Job")).message,
            begin + "(its Job would count a deleted pod as a failed one)");
  EXPECT_EQ(Plan(Waiting("Workflow")).message,
            begin + "(what its Workflow does about a deleted pod is not known)");
}

TEST(PlanRouteTest, NothingIsDoneAboutOthers) {
  EXPECT_EQ(Plan(Waiting("ReplicaSet", "prod")).kind, Kind::kNothing);
  EXPECT_EQ(Plan(Waiting("DaemonSet")).kind, Kind::kNothing);
  json pod = Waiting("ReplicaSet");
  pod["metadata"]["deletionTimestamp"] = "2026-01-02T03:04:05Z";
  EXPECT_EQ(Plan(pod).kind, Kind::kNothing);
  pod = Waiting("ReplicaSet");
  pod["metadata"]["annotations"] = {{"CapacityProvisioned", "0.25vCPU 0.5GB"}};
  pod["metadata"]["labels"] = {{"eks.amazonaws.com/fargate-profile", "other"}};
  EXPECT_EQ(Plan(pod).kind, Kind::kNothing);
  pod = Waiting("ReplicaSet");
  pod["metadata"]["annotations"] = {{"eks.amazonaws.com/compute-type", "ec2"}};
  EXPECT_EQ(Plan(pod).kind, Kind::kNothing);
}

// It may get a node in a moment.
TEST(PlanRouteTest, TheSchedulerGoesFirst) {
  json pod = Waiting("ReplicaSet");
  pod["status"]["conditions"] = json::array();
  EXPECT_EQ(Plan(pod).kind, Kind::kNothing);
  pod["status"]["conditions"] = {
      {{"type", "PodScheduled"}, {"status", "False"}, {"reason", "SchedulingGated"}}};
  EXPECT_EQ(Plan(pod).kind, Kind::kNothing);
  // Nobody schedules these.
  pod["spec"]["schedulerName"] = "fargate-scheduler";
  EXPECT_EQ(Plan(pod).kind, Kind::kRecreate);
}

TEST(PlanRouteTest, WhatCannotRunOrIsMatchedByNothingIsSaid) {
  json pod = Waiting("ReplicaSet");
  pod["spec"]["hostNetwork"] = true;
  EXPECT_EQ(Plan(pod).kind, Kind::kTell);
  EXPECT_EQ(Plan(pod).message, "Pod not supported on Fargate: fields not supported: HostNetwork");
  pod = Waiting("ReplicaSet", "prod");
  pod["spec"]["nodeSelector"] = {{"eks.amazonaws.com/compute-type", "fargate"}};
  EXPECT_EQ(Plan(pod).kind, Kind::kTell);
  EXPECT_EQ(Plan(pod).message,
            "this pod does not run on Fargate: no selector of a Fargate profile matches it; it "
            "stays Pending until a FargateProfile selects it (namespace \"prod\")");
}

}  // namespace
}  // namespace farlet::fargate
