#include "proto/guest/v1/guest.pb.h"
#include "runtime/guest/network.h"

#include <gtest/gtest.h>

#include <sys/socket.h>

namespace farlet::guest {
namespace {

TEST(NetworkParse, Prefixes) {
  auto prefix = ParsePrefix("10.1.2.3/24");
  ASSERT_TRUE(prefix);
  EXPECT_EQ(prefix->address.family, AF_INET);
  EXPECT_EQ(prefix->length, 24);
  EXPECT_EQ(prefix->address.bytes[3], 3);
  prefix = ParsePrefix("fd00::1");
  ASSERT_TRUE(prefix);
  EXPECT_EQ(prefix->address.family, AF_INET6);
  EXPECT_EQ(prefix->length, 128);
  for (const char* bad : {"", "10.1.2.3/33", "10.1.2.3/", "10.1.2.3/x", "10.1.2/8", "fd00::1/129",
                          "10.1.2.3/24/1", "x"}) {
    EXPECT_FALSE(ParsePrefix(bad)) << bad;
  }
}

TEST(NetworkParse, MacAddresses) {
  const auto mac = ParseMac("02:42:0a:FF:00:01");
  ASSERT_TRUE(mac);
  EXPECT_EQ(*mac, (std::array<uint8_t, 6>{0x02, 0x42, 0x0a, 0xff, 0x00, 0x01}));
  for (const char* bad : {"", "02:42:0a:ff:00", "02:42:0a:ff:00:01:", "02:42:0a:ff:00:1",
                          "02-42-0a-ff-00-01", "02:42:0a:ff:00:0g", "02:42:0a:ff:00:01:02"}) {
    EXPECT_FALSE(ParseMac(bad)) << bad;
  }
}

TEST(NetworkParse, InterfaceCounters) {
  v1::PodStatsResponse stats;
  ParseInterfaceStats(
      "Inter-|   Receive                                                |  Transmit\n"
      " face |bytes    packets errs drop fifo frame compressed multicast|bytes ...\n"
      "    lo:     100       1    0    0    0     0          0         0      100       1\n"
      "  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n",
      &stats);
  ASSERT_EQ(stats.interfaces_size(), 1);
  const auto& eth0 = stats.interfaces(0);
  EXPECT_EQ(eth0.name(), "eth0");
  EXPECT_EQ(eth0.received_bytes(), 1u);
  EXPECT_EQ(eth0.received_packets(), 2u);
  EXPECT_EQ(eth0.received_errors(), 3u);
  EXPECT_EQ(eth0.received_dropped(), 4u);
  EXPECT_EQ(eth0.sent_bytes(), 9u);
  EXPECT_EQ(eth0.sent_packets(), 10u);
  EXPECT_EQ(eth0.sent_errors(), 11u);
  EXPECT_EQ(eth0.sent_dropped(), 12u);
}

}  // namespace
}  // namespace farlet::guest
