#include "provider/fargate/metering.h"

#include <gtest/gtest.h>

namespace farlet::fargate {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

constexpr Configuration kSmall{.cpu = {250}, .memory = {512 * kMi}};

TEST(BilledTimeTest, IsRoundedUpAndAtLeastAMinute) {
  EXPECT_EQ(BilledTime(nanoseconds(0)), seconds(60));
  EXPECT_EQ(BilledTime(seconds(60)), seconds(60));
  EXPECT_EQ(BilledTime(seconds(60) + nanoseconds(1)), seconds(61));
  EXPECT_EQ(BilledTime(seconds(61)), seconds(61));
  EXPECT_EQ(BilledTime(milliseconds(3'600'001)), seconds(3601));
}

// 0.25 vCPU and 0.5 GB: 0.25 × 0.04048 + 0.5 × 0.004445 = 0.0123425 an hour.
TEST(CostTest, FollowsThePublishedFormula) {
  EXPECT_EQ(CostText(CostOf(UsageOf(kSmall, kDefaultStorage, seconds(3600)), {})), "0.0123425000");
  // 61 × 0.0123425 / 3600 = 0.00020913680555…
  EXPECT_EQ(CostText(CostOf(UsageOf(kSmall, kDefaultStorage, seconds(61)), {})), "0.0002091368");
  // 2 vCPU, 9 GB, 30 GB of storage for an hour: 0.08096 + 0.040005 + 10 × 0.000111.
  EXPECT_EQ(CostText(CostOf(
                UsageOf({.cpu = {2000}, .memory = {9 * kGi}}, {30 * kGi}, seconds(3600)), {})),
            "0.1220750000");
}

// A year of the largest pod, and of a thousand of them.
TEST(CostTest, LargeAmountsAreExact) {
  Usage all;
  for (int i = 0; i < 1000; ++i) {
    all += UsageOf(Configurations().back(), kMaxStorage, std::chrono::hours(24 * 365));
  }
  // 1000 × 8760 × (16 × 0.04048 + 120 × 0.004445 + 155 × 0.000111)
  EXPECT_EQ(CostText(CostOf(all, {})), "10496976.6000000000");
}

TEST(CostTest, SumsDoNotDependOnHowTheyAreCut) {
  Usage whole = UsageOf(kSmall, kDefaultStorage, seconds(1000));
  Usage parts = UsageOf(kSmall, kDefaultStorage, seconds(333));
  parts += UsageOf(kSmall, kDefaultStorage, seconds(667));
  EXPECT_EQ(whole, parts);
}

TEST(RateTest, IsReadExactly) {
  EXPECT_EQ(*ParseRate("0.04048"), 40'480'000);
  EXPECT_EQ(*ParseRate("0.004445"), 4'445'000);
  EXPECT_EQ(*ParseRate("12"), 12'000'000'000);
  EXPECT_EQ(*ParseRate("0.000000001"), 1);
  for (const char* text : {"", ".", "-1", "1.-5", "a", "1.2.3", "0.0000000001", "1000001", "1 "}) {
    EXPECT_FALSE(ParseRate(text)) << text;
  }
}

}  // namespace
}  // namespace farlet::fargate
