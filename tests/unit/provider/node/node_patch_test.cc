#include "provider/node/node_patch.h"

#include "tests/fakes/apiserver/fake_api_server_patch.h"

#include <gtest/gtest.h>

namespace farlet::node {
namespace {

const char kBefore[] = R"({
  "metadata": {"name": "n", "resourceVersion": "5", "labels": {"a": "1", "b": "2"}},
  "spec": {"podCIDR": "10.0.0.0/24"},
  "status": {
    "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
    "capacity": {"cpu": "2"},
    "conditions": [{"type": "Ready", "status": "True", "lastHeartbeatTime": "t1"},
                   {"type": "MemoryPressure", "status": "False", "lastHeartbeatTime": "t1"}],
    "images": [{"names": ["a"]}]}})";

class NodePatchTest : public ::testing::Test {
 protected:
  // What the API server makes of the patch is what was wanted.
  void ExpectApplies() {
    Json merged = before_;
    farlet::testing::StrategicMerge(merged, NodePatch(before_, after_));
    EXPECT_EQ(merged, after_);
  }

  const Json before_ = Json::parse(kBefore);
  Json after_ = before_;
};

TEST_F(NodePatchTest, NothingForNothing) {
  EXPECT_TRUE(NodePatch(before_, after_).is_null());
  EXPECT_FALSE(DiffersBesidesHeartbeat(before_, after_));
}

TEST_F(NodePatchTest, HeartbeatsAreNoChange) {
  after_["status"]["conditions"][0]["lastHeartbeatTime"] = "t2";
  EXPECT_FALSE(DiffersBesidesHeartbeat(before_, after_));
  EXPECT_EQ(NodePatch(before_, after_), Json::parse(R"({"status": {"conditions": [
    {"type": "Ready", "status": "True", "lastHeartbeatTime": "t2"}]}})"));
  after_["status"]["conditions"][0]["status"] = "False";
  EXPECT_TRUE(DiffersBesidesHeartbeat(before_, after_));
  ExpectApplies();
}

TEST_F(NodePatchTest, OnlyWhatChanged) {
  after_["metadata"]["labels"]["a"] = "9";
  after_["metadata"]["labels"].erase("b");
  after_["status"]["capacity"]["memory"] = "1Ki";
  after_["status"]["images"] = Json::array({Json{{"names", {"z"}}}});
  EXPECT_EQ(NodePatch(before_, after_), Json::parse(R"({
    "metadata": {"labels": {"a": "9", "b": null}},
    "status": {"capacity": {"memory": "1Ki"}, "images": [{"names": ["z"]}]}})"));
  ExpectApplies();
}

TEST_F(NodePatchTest, AQuantitySpelledAnotherWayIsNoChange) {
  Json known = before_;
  known["status"]["capacity"]["example.com/thing"] = "2k";
  after_["status"]["capacity"]["example.com/thing"] = "2000";
  EXPECT_EQ(NodePatch(known, after_), Json());
  after_["status"]["capacity"]["example.com/thing"] = "2001";
  EXPECT_EQ(NodePatch(known, after_)["status"]["capacity"], (Json{{"example.com/thing", "2001"}}));
}

TEST_F(NodePatchTest, AddressesAreReplacedWhole) {
  after_["status"]["addresses"] = Json::parse(R"([{"type": "InternalIP", "address": "10.0.0.1"},
      {"type": "InternalIP", "address": "fd00::1"}, {"type": "Hostname", "address": "n"}])");
  const Json patch = NodePatch(before_, after_);
  EXPECT_EQ(patch["status"]["addresses"].back(), (Json{{"$patch", "replace"}}));
}

TEST_F(NodePatchTest, AnEmptyNodeGetsEverything) {
  EXPECT_EQ(NodePatch(Json::parse(R"({"metadata": {}})"), before_)["status"]["capacity"],
            before_["status"]["capacity"]);
}

}  // namespace
}  // namespace farlet::node
