#include "provider/app/run_facts.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace farlet::app {
namespace {

using nlohmann::json;
using pod::PodStage;
using std::chrono::minutes;

constexpr WallTime kNow{seconds(1767323045)};  // 2026-01-02T03:04:05Z

class RunFactsTest : public ::testing::Test {
 protected:
  RunFactsTest() {
    object_ = {
        {"apiVersion", "v1"},
        {"kind", "Pod"},
        {"metadata",
         {{"name", "p"},
          {"namespace", "team"},
          {"uid", "u"},
          {"labels", {{"eks.amazonaws.com/fargate-profile", "fp"}}}}},
        {"spec", {{"restartPolicy", "Always"}, {"containers", {{{"name", "a"}, {"image", "i"}}}}}}};
  }

  kube::Pod Pod() const { return *kube::Pod::FromJson(object_); }

  pod::PodView View() const {
    return {.pod = std::make_shared<kube::Pod>(Pod()),
            .status = std::make_shared<json>(status_),
            .runtime = std::make_shared<cri::PodRuntime>(runtime_)};
  }

  cri::ContainerStatus& Add(const std::string& name, cri::ContainerState state, seconds finished) {
    cri::PodContainer container{.sandbox = {"s"}};
    container.status.id = {name};
    container.status.metadata.name = name;
    container.status.state = state;
    container.status.started_at = kNow - minutes(10);
    container.status.finished_at =
        state == cri::ContainerState::kExited ? kNow - finished : WallTime();
    runtime_.containers.push_back(container);
    return runtime_.containers.back().status;
  }

  void Deleted(seconds ago, int grace) {
    object_["metadata"]["deletionTimestamp"] =
        ago == seconds(30) ? "2026-01-02T03:03:40Z" : "2026-01-02T03:04:10Z";
    object_["metadata"]["deletionGracePeriodSeconds"] = grace;
  }

  json object_;
  json status_ = json::object();
  cri::PodRuntime runtime_;
};

TEST_F(RunFactsTest, SizeIsWhatAdmissionHasNoted) {
  object_["metadata"]["annotations"]["CapacityProvisioned"] = "1vCPU 3GB";
  object_["spec"]["containers"][0]["resources"]["requests"]["ephemeral-storage"] = "30Gi";
  const auto run = NewRun(Pod(), {}, {});
  ASSERT_TRUE(run) << run.error().message;
  EXPECT_EQ(run->provisioned.cpu.value, 1000);
  EXPECT_EQ(run->provisioned.memory.value, 3 * fargate::kGi);
  EXPECT_EQ(run->storage.value, 30 * fargate::kGi);
  EXPECT_EQ(run->profile, "fp");
}

TEST_F(RunFactsTest, WithoutANoteItIsWhatAdmissionWouldNote) {
  for (const char* note : {"", "a lot"}) {
    object_["metadata"]["annotations"]["CapacityProvisioned"] = note;
    const auto run = NewRun(Pod(), {}, {});
    ASSERT_TRUE(run) << run.error().message;
    EXPECT_EQ(fargate::CapacityText(run->provisioned), "0.25vCPU 0.5GB");
  }
  object_["spec"]["containers"][0]["resources"]["requests"]["cpu"] = "64";
  EXPECT_FALSE(NewRun(Pod(), {}, {}));
}

TEST_F(RunFactsTest, OnlyProfilesAreMetered) {
  EXPECT_TRUE(IsMetered(Pod(), {}));
  EXPECT_FALSE(IsMetered(Pod(), fargate::Names("other.dev")));
  object_["metadata"]["labels"]["eks.amazonaws.com/fargate-profile"] = "";
  EXPECT_FALSE(IsMetered(Pod(), {}));
}

TEST_F(RunFactsTest, NothingEndsWhileSomethingRuns) {
  Add("a", cri::ContainerState::kRunning, seconds(0));
  for (const PodStage stage : {PodStage::kRunning, PodStage::kEnded, PodStage::kRemoved}) {
    EXPECT_FALSE(EndOf(View(), stage, kNow));
  }
}

TEST_F(RunFactsTest, ItEndsWithItsLastContainer) {
  object_["spec"]["restartPolicy"] = "Never";
  Add("a", cri::ContainerState::kExited, seconds(20)).exit_code = 3;
  Add("init", cri::ContainerState::kExited, seconds(90));
  EXPECT_FALSE(EndOf(View(), PodStage::kRunning, kNow));
  EXPECT_EQ(EndOf(View(), PodStage::kEnded, kNow), kNow - seconds(20));
  EXPECT_EQ(EndOf(View(), PodStage::kRemoved, kNow), kNow - seconds(20));
  // It was deleted when it had ended already.
  Deleted(seconds(0), 5);
  EXPECT_EQ(EndOf(View(), PodStage::kEnded, kNow), kNow - seconds(20));
}

TEST_F(RunFactsTest, APodThatWaitsForARestartEndsWhenItIsDeleted) {
  Add("a", cri::ContainerState::kExited, seconds(120)).exit_code = 1;
  Deleted(seconds(30), 5);  // asked for 30 s ago
  EXPECT_EQ(EndOf(View(), PodStage::kEnded, kNow), kNow - seconds(30));
  object_["spec"]["restartPolicy"] = "OnFailure";
  EXPECT_EQ(EndOf(View(), PodStage::kEnded, kNow), kNow - seconds(30));
  // This one would not have been started again.
  runtime_.containers[0].status.exit_code = 0;
  EXPECT_EQ(EndOf(View(), PodStage::kEnded, kNow), kNow - seconds(120));
}

TEST_F(RunFactsTest, WithoutARuntimeTheStatusCounts) {
  status_ = {
      {"phase", "Succeeded"},
      {"containerStatuses",
       {{{"name", "a"}, {"state", {{"terminated", {{"finishedAt", "2026-01-02T03:04:00Z"}}}}}}}}};
  EXPECT_EQ(EndOf(View(), PodStage::kEnded, kNow), kNow - seconds(5));
  status_ = "nonsense";
  EXPECT_EQ(EndOf(View(), PodStage::kEnded, kNow), kNow);
}

TEST_F(RunFactsTest, NoEndIsStillToCome) {
  object_["spec"]["restartPolicy"] = "Never";
  Add("a", cri::ContainerState::kExited, seconds(-20));  // another clock
  EXPECT_EQ(EndOf(View(), PodStage::kEnded, kNow), kNow);
}

TEST_F(RunFactsTest, StartedIsTheLastFirstStart) {
  EXPECT_FALSE(StartedOf(View()));
  Add("a", cri::ContainerState::kRunning, seconds(0)).started_at = kNow - seconds(5);
  Add("a", cri::ContainerState::kExited, seconds(6)).started_at = kNow - seconds(50);
  EXPECT_EQ(StartedOf(View()), kNow - seconds(50));
  object_["spec"]["containers"].push_back({{"name", "b"}, {"image", "i"}});
  EXPECT_FALSE(StartedOf(View()));
  Add("b", cri::ContainerState::kRunning, seconds(0)).started_at = kNow - seconds(40);
  EXPECT_EQ(StartedOf(View()), kNow - seconds(40));
}

TEST_F(RunFactsTest, ReadyIsFinerThanTheStatusWhereItCan) {
  EXPECT_FALSE(ReadyOf(View(), kNow));
  status_ = {
      {"conditions",
       {{{"type", "Ready"}, {"status", "True"}, {"lastTransitionTime", "2026-01-02T03:04:04Z"}}}}};
  EXPECT_EQ(ReadyOf(View(), kNow), kNow);
  EXPECT_EQ(ReadyOf(View(), kNow + minutes(5)), kNow - seconds(1));
}

TEST_F(RunFactsTest, AnUnknownBeginIsTheOldestSandbox) {
  cri::SandboxStatus newer;
  newer.sandbox.created_at = kNow - seconds(5);
  cri::SandboxStatus older;
  older.sandbox.created_at = kNow - seconds(50);
  runtime_.sandboxes = {newer, older};
  EXPECT_FALSE(BeginOf(View()));  // its images may still be on their way
  Add("a", cri::ContainerState::kRunning, seconds(0));
  EXPECT_EQ(BeginOf(View()), kNow - seconds(50));
}

}  // namespace
}  // namespace farlet::app
