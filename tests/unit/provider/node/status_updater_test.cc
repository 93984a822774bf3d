#include "provider/node/status_updater.h"

#include "tests/fakes/apiserver/fake_api_server_harness.h"

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>

namespace farlet::node {
namespace {

using ::farlet::testing::ApiHarness;
using ::farlet::testing::Eventually;
using kube::Json;

const std::string kPath = "/api/v1/nodes/node-1";

class StatusUpdaterTest : public ::testing::Test {
 protected:
  StatusUpdaterTest()
      : updater_(
            harness_.client,
            harness_.clock,
            harness_.timers,
            {.node_name = "node-1"},
            [this](const Json& node) { return Compute(node); },
            [this](const Json&, const Json&) { ++written_; }) {
    updater_.SetNode(std::make_shared<const Json>(
        harness_.api.Put(kPath, {{"status", {{"conditions", Json::array()}}}})));
  }

  Json Compute(Json node) {
    ++computed_;
    node["status"]["conditions"] =
        Json::array({Json{{"type", "Ready"},
                          {"status", ready_ ? "True" : "False"},
                          {"lastHeartbeatTime", std::to_string(computed_)}}});
    return node;
  }

  std::string Ready() {
    const Json node = *harness_.api.Find(kPath);
    const Json& conditions = node["status"]["conditions"];
    return conditions.empty() ? "" : conditions[0]["status"].get<std::string>();
  }

  int Patches() { return harness_.api.Requests("PATCH", "nodes/status"); }

  // Ready, written, and nothing going on.
  void BecomeReady() {
    ready_ = true;
    updater_.Poke();
    ASSERT_TRUE(Eventually([&] { return Ready() == "True"; }));
    ASSERT_TRUE(Eventually([&] { return written_ == Patches(); }));
  }

  ApiHarness harness_;
  std::atomic<bool> ready_ = false;
  std::atomic<int> computed_ = 0;
  std::atomic<int> written_ = 0;
  StatusUpdater updater_;
};

TEST_F(StatusUpdaterTest, WritesWhatChanged) {
  ASSERT_TRUE(Eventually([&] { return Ready() == "False"; }));
  BecomeReady();
  EXPECT_EQ(Patches(), 2);
  EXPECT_EQ(written_, 2);
}

TEST_F(StatusUpdaterTest, LooksOftenUntilReadyAndSeldomAfterwards) {
  ASSERT_TRUE(Eventually([&] { return written_ == 1; }));
  const int before = computed_;
  ASSERT_TRUE(harness_.AdvanceUntil(milliseconds(100), [&] { return computed_ >= before + 10; }));
  BecomeReady();
  const int ready = computed_;
  harness_.Advance(milliseconds(9000));
  EXPECT_LE(computed_, ready + 1);
  EXPECT_TRUE(harness_.AdvanceUntil(milliseconds(100), [&] { return computed_ > ready; }));
}

TEST_F(StatusUpdaterTest, ReportsEveryFiveMinutesOrSo) {
  BecomeReady();
  const SteadyTime start = harness_.clock.Now();
  const int before = Patches();
  ASSERT_TRUE(harness_.AdvanceUntil(seconds(2), [&] { return Patches() > before; }));
  const auto passed = harness_.clock.Now() - start;
  EXPECT_GE(passed, std::chrono::seconds(150));
  EXPECT_LE(passed, std::chrono::seconds(500));
}

TEST_F(StatusUpdaterTest, WritesAtOnceWhenPoked) {
  BecomeReady();
  ready_ = false;
  updater_.Poke();
  EXPECT_TRUE(Eventually([&] { return Ready() == "False"; }));
}

TEST_F(StatusUpdaterTest, APokeDuringAWriteIsNotLost) {
  BecomeReady();
  harness_.api.InjectFault({.verb = "PATCH", .delay = milliseconds(100)});
  const int before = Patches();
  ready_ = false;
  updater_.Poke();
  ASSERT_TRUE(harness_.api.WaitForRequests("PATCH", "nodes/status", before + 1));
  ready_ = true;
  updater_.Poke();
  EXPECT_TRUE(Eventually([&] { return Ready() == "True"; }));
}

TEST_F(StatusUpdaterTest, TriesAgainSoonAfterAFailure) {
  BecomeReady();
  harness_.api.InjectFault({.verb = "PATCH", .times = 3, .status = 503});
  ready_ = false;
  updater_.Poke();
  EXPECT_TRUE(harness_.AdvanceUntil(milliseconds(50), [&] { return Ready() == "False"; }));
}

TEST_F(StatusUpdaterTest, AnOlderVersionIsNoNews) {
  const auto old = updater_.node();
  BecomeReady();
  const auto known = updater_.node();
  updater_.SetNode(old);
  EXPECT_EQ(updater_.node(), known);
  harness_.api.Remove(kPath);
  const Json recreated = harness_.api.Put(kPath, {{"status", {{"conditions", Json::array()}}}});
  ASSERT_NE(recreated["metadata"]["uid"], (*known)["metadata"]["uid"]);
  updater_.SetNode(std::make_shared<const Json>(recreated));
  EXPECT_EQ((*updater_.node())["metadata"]["uid"], recreated["metadata"]["uid"]);
}

}  // namespace
}  // namespace farlet::node
