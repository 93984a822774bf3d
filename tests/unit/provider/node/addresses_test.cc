#include "provider/node/addresses.h"

#include "tests/unit/temp_folder.h"

#include <gtest/gtest.h>

namespace farlet::node {
namespace {

TEST(AddressesTest, RefusesWhatNoNodeCanHave) {
  for (const char* good : {"10.0.0.1", "192.168.1.1", "fd00::1", "2001:db8::1"}) {
    EXPECT_TRUE(CheckNodeIp(good)) << good;
  }
  for (const char* bad : {"", "web", "10.0.0", "127.0.0.1", "0.0.0.0", "224.0.0.1", "169.254.1.1",
                          "::", "::1", "fe80::1", "ff02::1"}) {
    const Status status = CheckNodeIp(bad);
    ASSERT_FALSE(status) << bad;
    EXPECT_EQ(status.error().code, Code::kInvalidArgument);
    EXPECT_NE(status.error().message.find(bad), std::string::npos);
  }
}

TEST(AddressesTest, FindsAnAddressThatAnInterfaceHas) {
  const TempFolder no_routes;
  const Result<std::string> found = FindNodeIp(no_routes.path());
  if (found) {
    EXPECT_TRUE(IsLocalIp(*found));
    EXPECT_TRUE(CheckNodeIp(*found));
  } else {
    EXPECT_EQ(found.error().code, Code::kNotFound);
  }
  EXPECT_TRUE(IsLocalIp("127.0.0.1"));
  EXPECT_FALSE(IsLocalIp("203.0.113.7"));
}

TEST(AddressesTest, HostNameIsLowerCase) {
  const Result<std::string> name = HostName();
  ASSERT_TRUE(name);
  EXPECT_EQ(name->find_first_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ"), std::string::npos);
}

}  // namespace
}  // namespace farlet::node
