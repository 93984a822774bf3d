#include "provider/node/registration.h"

#include "tests/fakes/apiserver/fake_api_server_harness.h"

#include <gtest/gtest.h>

#include <atomic>

namespace farlet::node {
namespace {

using ::farlet::testing::ApiHarness;
using ::farlet::testing::Eventually;
using kube::Json;

const std::string kPath = "/api/v1/nodes/node-1";

class RegistrationTest : public ::testing::Test {
 protected:
  RegistrationTest()
      : registration_(harness_.client,
                      harness_.clock,
                      harness_.timers,
                      "node-1",
                      {.build =
                           [] {
                             return Json{{"metadata", {{"name", "node-1"}}}};
                           },
                       .adopt =
                           [](Json node) {
                             node["metadata"]["labels"]["adopted"] = "yes";
                             return node;
                           },
                       .foreign_owner =
                           [](const Json& node) {
                             return node.value("/metadata/labels/owner"_json_pointer, "");
                           },
                       .on_registered =
                           [this](const auto& node, const auto& found) {
                             adopted_ = adopted_ + (found != nullptr ? 1 : 0);
                             EXPECT_NE(node, nullptr);
                             ++registered_;
                           },
                       .on_node = [this](const auto&) { ++seen_; }}) {}

  ApiHarness harness_;
  std::atomic<int> registered_ = 0;
  std::atomic<int> adopted_ = 0;
  std::atomic<int> seen_ = 0;
  Registration registration_;
};

TEST_F(RegistrationTest, CreatesTheNodeAndFollowsIt) {
  registration_.Start();
  ASSERT_TRUE(Eventually([&] { return registered_ == 1 && harness_.api.OpenWatches() == 1; }));
  EXPECT_EQ(adopted_, 0);
  const int before = seen_;
  Json node = *harness_.api.Find(kPath);
  node["spec"]["podCIDR"] = "10.0.0.0/24";
  harness_.api.Put(kPath, node);
  EXPECT_TRUE(Eventually([&] { return seen_ > before; }));
}

TEST_F(RegistrationTest, AdoptsAnExistingNode) {
  harness_.api.Put(kPath, Json::object());
  registration_.Start();
  ASSERT_TRUE(Eventually([&] { return registered_ == 1; }));
  EXPECT_EQ(adopted_, 1);
  EXPECT_EQ((*harness_.api.Find(kPath))["metadata"]["labels"]["adopted"], "yes");
  EXPECT_EQ(harness_.api.Requests("PATCH", "nodes/status"), 1);
}

TEST_F(RegistrationTest, RegistersAgainWhenTheNodeIsDeleted) {
  registration_.Start();
  ASSERT_TRUE(Eventually([&] { return registered_ == 1 && harness_.api.OpenWatches() == 1; }));
  const Json first = *harness_.api.Find(kPath);
  harness_.api.Remove(kPath);
  ASSERT_TRUE(Eventually([&] { return registered_ == 2; }));
  EXPECT_NE((*harness_.api.Find(kPath))["metadata"]["uid"], first["metadata"]["uid"]);
}

TEST_F(RegistrationTest, WaitsWhileSomebodyElseRunsTheNode) {
  harness_.api.Put(kPath, {{"metadata", {{"labels", {{"owner", "a kubelet"}}}}}});
  registration_.Start();
  ASSERT_TRUE(harness_.AdvanceUntil(milliseconds(100),
                                    [&] { return harness_.api.Requests("GET", "nodes") >= 5; }));
  EXPECT_EQ(registered_, 0);
  EXPECT_EQ(harness_.api.Requests("PATCH", "nodes/status"), 0);
  harness_.api.Remove(kPath);
  EXPECT_TRUE(harness_.AdvanceUntil(milliseconds(500), [&] { return registered_ == 1; }));
}

TEST_F(RegistrationTest, KeepsTryingWhatIsRefused) {
  harness_.api.InjectFault({.verb = "POST", .times = 3, .status = 403, .reason = "Forbidden"});
  harness_.api.InjectFault({.verb = "POST", .times = 2, .drop = true});
  registration_.Start();
  EXPECT_TRUE(harness_.AdvanceUntil(milliseconds(100), [&] { return registered_ == 1; }));
  EXPECT_EQ(harness_.api.Requests("POST", "nodes"), 6);
}

TEST_F(RegistrationTest, AnAnswerThatGotLostIsAnAdoption) {
  harness_.api.InjectFault({.verb = "POST", .drop = true, .after_effect = true});
  registration_.Start();
  EXPECT_TRUE(harness_.AdvanceUntil(milliseconds(100), [&] { return registered_ == 1; }));
  EXPECT_EQ(adopted_, 1);
}

}  // namespace
}  // namespace farlet::node
