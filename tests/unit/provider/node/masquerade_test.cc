#include "provider/node/masquerade.h"

#include <gtest/gtest.h>

namespace farlet::node {
namespace {

TEST(MasqueradeTest, OneRuleForEachCidrOfItsFamily) {
  EXPECT_EQ(FormatMasquerade("farlet-0a", {"10.244.3.0/24", "fd00:10::/64"}),
            "table ip farlet-0a { }\n"
            "delete table ip farlet-0a\n"
            "table ip farlet-0a {\n"
            "  chain postrouting {\n"
            "    type nat hook postrouting priority 100; policy accept;\n"
            "    ip saddr 10.244.3.0/24 ip daddr != { 10.244.3.0/24, 224.0.0.0/4 } masquerade\n"
            "  }\n"
            "}\n"
            "table ip6 farlet-0a { }\n"
            "delete table ip6 farlet-0a\n"
            "table ip6 farlet-0a {\n"
            "  chain postrouting {\n"
            "    type nat hook postrouting priority 100; policy accept;\n"
            "    ip6 saddr fd00:10::/64 ip6 daddr != { fd00:10::/64, ff00::/8 } masquerade\n"
            "  }\n"
            "}\n");
}

TEST(MasqueradeTest, AFamilyWithoutCidrIsOnlyRemoved) {
  const std::string script = FormatMasquerade("t", {"10.0.0.0/8"});
  EXPECT_NE(script.find("delete table ip6 t\n"), std::string::npos);
  EXPECT_EQ(script.find("table ip6 t {\n"), std::string::npos);
}

}  // namespace
}  // namespace farlet::node
