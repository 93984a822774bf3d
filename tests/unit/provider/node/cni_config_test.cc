#include "provider/node/cni_config.h"

#include "runtime/base/file.h"
#include "tests/unit/temp_folder.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace farlet::node {
namespace {

class CniConfigTest : public ::testing::Test {
 protected:
  nlohmann::json Written() {
    return nlohmann::json::parse(*ReadFile(dir_.path() / "net.d/10-farlet.conflist"));
  }

  TempFolder dir_;
  CniConfig config_{.folder = dir_.path() / "net.d",
                    .data_dir = "/var/lib/farlet/cni",
                    .node_name = "node-1",
                    .pod_cidrs = {"10.244.3.0/24"}};
};

TEST_F(CniConfigTest, WritesABridgeNetwork) {
  EXPECT_EQ(WriteCniConfig(config_).value(), true);
  const nlohmann::json list = Written();
  EXPECT_EQ(list["cniVersion"], "0.4.0");
  const nlohmann::json& bridge = list["plugins"][0];
  EXPECT_EQ(bridge["type"], "bridge");
  EXPECT_EQ(bridge["bridge"], BridgeName("node-1"));
  EXPECT_EQ(bridge["isGateway"], true);
  EXPECT_EQ(bridge["ipMasq"], false);
  EXPECT_EQ(bridge["ipam"], nlohmann::json::parse(R"({
    "type": "host-local", "dataDir": "/var/lib/farlet/cni",
    "ranges": [[{"subnet": "10.244.3.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]})"));
  EXPECT_EQ(list["plugins"][1]["type"], "portmap");
}

TEST_F(CniConfigTest, WritesOnlyWhatChanged) {
  EXPECT_EQ(WriteCniConfig(config_).value(), true);
  EXPECT_EQ(WriteCniConfig(config_).value(), false);
  config_.pod_cidrs = {"10.244.4.0/24", "fd00:10::/64"};
  EXPECT_EQ(WriteCniConfig(config_).value(), true);
  EXPECT_EQ(Written()["plugins"][0]["ipam"]["routes"][1]["dst"], "::/0");
}

TEST_F(CniConfigTest, RefusesWhatIsNoCidr) {
  for (const char* bad :
       {"", "10.244.0.0", "10.244.0.0/33", "10.244.0.0/x", "x/24", "fd00::/129"}) {
    config_.pod_cidrs = {bad};
    const Result<bool> written = WriteCniConfig(config_);
    ASSERT_FALSE(written) << bad;
    EXPECT_EQ(written.error().code, Code::kInvalidArgument);
  }
  config_.pod_cidrs = {};
  EXPECT_FALSE(WriteCniConfig(config_));
}

TEST(BridgeNameTest, IsShortAndTheNodesOwn) {
  EXPECT_LE(BridgeName(std::string(200, 'x')).size(), 15U);
  EXPECT_NE(BridgeName("node-1"), BridgeName("node-2"));
  EXPECT_EQ(BridgeName("node-1"), BridgeName("node-1"));
}

}  // namespace
}  // namespace farlet::node
