#include "provider/metering/report.h"

#include "provider/metering/fold.h"
#include "provider/metering/report_json.h"
#include "tests/unit/provider/metering/run_builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace farlet::metering::testing {
namespace {

using std::chrono::days;
using std::chrono::hours;
using ::testing::HasSubstr;
const Group kGroup{.object_namespace = "default", .profile = "fp"};

LedgerState StateOf(const std::vector<PodRun>& runs) {
  LedgerState state;
  for (const PodRun& run : runs) {
    EXPECT_TRUE(Apply(RunEntry(run), state));
  }
  return state;
}

TEST(ReportTest, SumsUpByNamespaceAndProfile) {
  PodRun other = Ran("b", kStart, kStart + seconds(90));
  other.object_namespace = "other";
  PodRun open = Small("c");
  open.at(Moment::kImageBegun) = kStart;
  const LedgerState state =
      StateOf({Ran("a", kStart, kStart + seconds(61)), other, open, Small("not-billed")});
  const WallTime now = kStart + seconds(100);
  const Report all = MakeReport(state, {.pods = true}, now);
  ASSERT_EQ(all.totals.size(), 2u);
  EXPECT_EQ(all.totals.at(kGroup).pods, 1);
  EXPECT_EQ(all.totals.at(kGroup).running, 1);
  EXPECT_EQ(all.totals.at(kGroup).charge.usage.milli_cpu_seconds, (61 + 100) * 250);
  EXPECT_EQ(all.pods.size(), 3u);
  const Report one = MakeReport(state, {.object_namespace = "other"}, now);
  ASSERT_EQ(one.totals.size(), 1u);
  EXPECT_EQ(one.totals.begin()->first.object_namespace, "other");
  EXPECT_TRUE(one.pods.empty());
}

TEST(ReportTest, SinceCutsWhatBeganBefore) {
  const LedgerState state =
      StateOf({Ran("old", kStart, kStart + seconds(61)), Ran("cut", kStart, kStart + seconds(200)),
               Ran("new", kStart + seconds(150), kStart + seconds(211))});
  const WallTime now = kStart + hours(1);
  const Report report = MakeReport(state, {.since = kStart + seconds(100), .pods = true}, now);
  ASSERT_EQ(report.pods.size(), 2u);
  EXPECT_EQ(report.pods[0].billed, seconds(100));
  EXPECT_EQ(report.pods[1].billed, seconds(61));
  EXPECT_EQ(report.totals.at(kGroup).charge.usage.milli_cpu_seconds, 161 * 250);
  EXPECT_FALSE(report.whole_day);
}

TEST(ReportTest, FoldedDaysCountAsAWhole) {
  LedgerState state;
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(Apply(
        RunEntry(Ran(std::to_string(i), kStart + days(i), kStart + days(i) + seconds(61))), state));
  }
  Fold(state, {.runs = 0}, kStart + days(4));
  const Report report = MakeReport(state, {.since = kStart + days(2) + hours(3)}, kStart + days(4));
  EXPECT_EQ(report.totals.at(kGroup).pods, 2);
  EXPECT_TRUE(report.whole_day);
  EXPECT_EQ(MakeReport(state, {}, kStart).totals.at(kGroup).pods, 4);
}

TEST(CostQueryTest, IsChecked) {
  const auto good = ParseCostQuery(
      {{"since", "2026-01-02T03:04:05Z"}, {"namespace", "team-1"}, {"pods", "true"}});
  ASSERT_TRUE(good) << good.error().message;
  EXPECT_EQ(good->since, kStart);
  EXPECT_EQ(good->object_namespace, "team-1");
  EXPECT_TRUE(good->pods);
  const auto parameters = CostParameters(*good);
  const auto again = ParseCostQuery({parameters.begin(), parameters.end()});
  ASSERT_TRUE(again);
  EXPECT_EQ(again->since, good->since);
  EXPECT_EQ(again->object_namespace, good->object_namespace);
  EXPECT_EQ(again->pods, good->pods);
  const std::vector<std::pair<std::string, std::string>> bad{
      {"since", "yesterday"}, {"namespace", ""},
      {"namespace", "A/b"},   {"namespace", std::string(64, 'a')},
      {"pods", "1"},          {"what", "x"}};
  for (const auto& parameter : bad) {
    const auto query = ParseCostQuery({parameter});
    ASSERT_FALSE(query) << parameter.second;
    EXPECT_EQ(query.error().code, Code::kInvalidArgument);
    EXPECT_THAT(query.error().message, HasSubstr(parameter.first));
  }
}

TEST(ReportJsonTest, IsReadAsItWasWritten) {
  const LedgerState state = StateOf({Ran("a", kStart, kStart + seconds(61))});
  const Report report = MakeReport(state, {.pods = true}, kStart);
  const auto read = ReportFromJson(ReportToJson(report));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->totals, report.totals);
  ASSERT_EQ(read->pods.size(), 1u);
  EXPECT_EQ(read->pods[0].run, report.pods[0].run);
  EXPECT_EQ(read->pods[0].charge, report.pods[0].charge);
  EXPECT_EQ(read->pods[0].billed, seconds(61));
}

TEST(ReportJsonTest, AnswersOfOthersAreNotBelieved) {
  using nlohmann::json;
  const json good = ReportToJson(
      MakeReport(StateOf({Ran("a", kStart, kStart + seconds(61))}), {.pods = true}, kStart));
  json::json_pointer root;
  for (const auto& [pointer, value] :
       std::vector<std::pair<const char*, json>>{{"/kind", "PodList"},
                                                 {"/totals", 1},
                                                 {"/totals/0", "x"},
                                                 {"/totals/0/cost", -1},
                                                 {"/totals/0/pods", 1.5},
                                                 {"/pods/0", json::object()},
                                                 {"/pods/0/run/uid", ""},
                                                 {"/pods/0/billedSeconds", "61"}}) {
    json bad = good;
    bad[json::json_pointer(pointer)] = value;
    EXPECT_FALSE(ReportFromJson(bad)) << pointer;
  }
  EXPECT_FALSE(ReportFromJson(json::array()));
}

}  // namespace
}  // namespace farlet::metering::testing
