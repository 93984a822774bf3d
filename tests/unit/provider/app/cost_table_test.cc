#include "provider/app/cost_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace farlet::app {
namespace {

using metering::Moment;
using ::testing::HasSubstr;

constexpr WallTime kNow{seconds(1767323045)};  // 2026-01-02T03:04:05Z

metering::PodRun Job() {
  metering::PodRun run{.uid = "u",
                       .object_namespace = "team",
                       .name = "job",
                       .profile = "fp",
                       .provisioned = {.cpu = {250}, .memory = {512 * fargate::kMi}},
                       .storage = fargate::kDefaultStorage};
  run.at(Moment::kImageBegun) = kNow;
  run.at(Moment::kStarted) = kNow + milliseconds(1500);
  run.at(Moment::kReady) = kNow + milliseconds(1512);
  run.pull = milliseconds(1042);
  run.end = kNow + seconds(61);
  return run;
}

CostSummary Summary() {
  metering::LedgerState state;
  state.runs["u"] = Job();
  CostSummary summary{.query = {.pods = true}};
  for (const char* node : {"one", "two"}) {
    AddReport(node, metering::MakeReport(state, summary.query, kNow), summary);
  }
  return summary;
}

TEST(SinceTest, IsASpanOrATime) {
  EXPECT_EQ(*ParseSince("24h", kNow), kNow - std::chrono::hours(24));
  EXPECT_EQ(*ParseSince("1h30m", kNow), kNow - std::chrono::minutes(90));
  EXPECT_EQ(*ParseSince("7d", kNow), kNow - std::chrono::days(7));
  EXPECT_EQ(*ParseSince("2026-01-02T03:04:05Z", kNow), kNow);
  for (const char* text : {"", "h", "1", "-1h", "1w", "1h 2m", "99999999d", "99999999999999999999s",
                           "yesterday", "2027-01-01T00:00:00Z", "2026-01-01"}) {
    const auto since = ParseSince(text, kNow);
    ASSERT_FALSE(since) << text;
    EXPECT_EQ(since.error().code, Code::kInvalidArgument);
  }
}

TEST(CostTableTest, SumsUpNodes) {
  const std::string text = CostTable(Summary());
  EXPECT_THAT(text, HasSubstr("team       fp       2      0        30.5          61"));
  EXPECT_THAT(text, HasSubstr("0.0004182736"));
  EXPECT_THAT(text, HasSubstr("TOTAL"));
  EXPECT_THAT(text, HasSubstr("0.25vCPU 0.5GB  2026-01-02T03:04:05Z  61       0.0002091368  -"));
  EXPECT_THAT(text, HasSubstr("1.042s  -      0.012s"));
}

TEST(CostJsonTest, IsExact) {
  CostSummary summary = Summary();
  summary.silent.emplace_back("three", "no answer");
  const nlohmann::json json = CostJson(summary);
  EXPECT_EQ(json["complete"], false);
  EXPECT_EQ(json["nodes"][2]["error"], "no answer");
  EXPECT_EQ(json["total"]["cost"], "0.0004182736");
  EXPECT_EQ(json["totals"][0]["vcpuSeconds"], "30.5");
  EXPECT_EQ(json["totals"][0]["memoryGbSeconds"], "61");
  const nlohmann::json& pod = json["pods"][1];
  EXPECT_EQ(pod["node"], "two");
  EXPECT_EQ(pod["cost"], "0.0002091368");
  EXPECT_EQ(pod["billedSeconds"], 61);
  EXPECT_EQ(pod["startSeconds"]["pull"], "1.042");
  EXPECT_FALSE(pod["startSeconds"].contains("sandbox"));
  EXPECT_EQ(pod["ended"], "2026-01-02T03:05:06Z");
}

}  // namespace
}  // namespace farlet::app
