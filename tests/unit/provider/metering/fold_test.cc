#include "provider/metering/fold.h"

#include "provider/metering/report.h"
#include "tests/unit/provider/metering/run_builder.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace farlet::metering::testing {
namespace {

using std::chrono::days;
using std::chrono::hours;

void Add(LedgerState& state, const PodRun& run) {
  ASSERT_TRUE(Apply(RunEntry(run), state));
}

Charge SumOf(const LedgerState& state) {
  Charge sum;
  for (const auto& [group, total] : MakeReport(state, {}, kStart).totals) {
    sum += total.charge;
  }
  return sum;
}

TEST(FoldTest, TooManyBecomeSumsAndNothingIsLost) {
  LedgerState state;
  for (int i = 0; i < 21; ++i) {
    Add(state, Ran(std::to_string(i), kStart + seconds(i), kStart + seconds(100 + 3 * i)));
  }
  PodRun open = Small("open");
  open.at(Moment::kImageBegun) = kStart;
  Add(state, open);
  const Charge before = SumOf(state);
  Fold(state, {.runs = 20}, kStart + hours(1));
  EXPECT_EQ(state.runs.size(), 16u);  // three quarters, and the open one
  EXPECT_TRUE(state.runs.contains("20"));
  EXPECT_FALSE(state.runs.contains("0"));
  EXPECT_TRUE(state.runs.contains("open"));
  EXPECT_EQ(SumOf(state), before);
  EXPECT_EQ(state.folded.size(), 1u);
  EXPECT_EQ(state.folded.begin()->second.pods, 6);
}

TEST(FoldTest, WhatIsStillThereIsRememberedUntilItIsGone) {
  LedgerState state;
  Add(state, Ran("a", kStart, kStart + seconds(61)));
  PodRun gone = Ran("b", kStart, kStart + seconds(61));
  gone.gone = true;
  Add(state, gone);
  Fold(state, {.runs = 0}, kStart + hours(1));
  EXPECT_TRUE(state.runs.empty());
  EXPECT_TRUE(state.Knows("a"));
  EXPECT_FALSE(state.Knows("b"));
  ASSERT_TRUE(Apply(GoneEntry("a"), state));
  EXPECT_FALSE(state.Knows("a"));
}

TEST(FoldTest, LongRunsAreCutAtMidnight) {
  LedgerState state;
  const PodRun run = Ran("a", kStart, kStart + days(3) + milliseconds(1));
  Add(state, run);
  Fold(state, {.keep = days(1)}, kStart + days(10));
  ASSERT_EQ(state.folded.size(), 4u);
  EXPECT_EQ(SumOf(state), ChargeOf(run, kStart));
  auto day = state.folded.begin();
  // From 03:04:05 to midnight, then whole days.
  EXPECT_EQ(day->second.charge.usage.milli_cpu_seconds, 250 * (86400 - 3 * 3600 - 4 * 60 - 5));
  EXPECT_EQ(day->second.pods, 0);
  EXPECT_EQ((++day)->second.charge.usage.milli_cpu_seconds, 250 * 86400);
  EXPECT_EQ(state.folded.rbegin()->second.pods, 1);
}

TEST(FoldTest, OldDaysBecomeOneSum) {
  LedgerState state;
  for (int i = 0; i < 50; ++i) {
    Add(state, Ran(std::to_string(i), kStart + days(i), kStart + days(i) + seconds(61)));
  }
  const Charge before = SumOf(state);
  Fold(state, {.keep = days(5), .by_day = days(20)}, kStart + days(50));
  EXPECT_LE(state.folded.size(), 22u);
  EXPECT_EQ(SumOf(state), before);
  // Again, a year later.
  Fold(state, {.keep = days(5), .by_day = days(20)}, kStart + days(415));
  EXPECT_EQ(SumOf(state), before);
  EXPECT_LE(state.folded.size(), 2u);
  EXPECT_EQ(state.runs.size(), 0u);
}

TEST(FoldTest, GroupsAreBounded) {
  LedgerState state;
  for (int i = 0; i < 3; ++i) {
    PodRun run = Ran(std::to_string(i), kStart, kStart);
    run.object_namespace = "ns-" + std::to_string(i);
    Add(state, run);
  }
  const Limits limits{.groups = 3};
  EXPECT_FALSE(TooManyGroups(state, {.object_namespace = "ns-1", .profile = "fp"}, limits));
  EXPECT_TRUE(TooManyGroups(state, {.object_namespace = "ns-3", .profile = "fp"}, limits));
}

TEST(LedgerStateTest, IsReadAsItWasWritten) {
  LedgerState state;
  for (int i = 0; i < 5; ++i) {
    Add(state, Ran(std::to_string(i), kStart + days(i), kStart + days(i) + seconds(61)));
  }
  Fold(state, {.runs = 4}, kStart + days(5));
  const auto read = StateFromJson(StateToJson(state));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, state);
}

TEST(LedgerStateTest, EntriesMayComeTwice) {
  LedgerState once;
  LedgerState twice;
  PodRun open = Small("b");
  open.at(Moment::kImageBegun) = kStart;
  for (const auto& entry :
       {RunEntry(Ran("a", kStart, kStart + seconds(61))), RunEntry(open),
        AliveEntry(kStart + seconds(5), {"c"}), GoneEntry("a"), DropEntry("x")}) {
    ASSERT_TRUE(Apply(entry, once));
    ASSERT_TRUE(Apply(entry, twice));
    ASSERT_TRUE(Apply(entry, twice));
  }
  EXPECT_EQ(once, twice);
  EXPECT_EQ(once.runs.at("b").alive, kStart + seconds(5));
  EXPECT_TRUE(once.runs.at("a").gone);
}

TEST(LedgerStateTest, WhatIsNoEntryIsRefused) {
  LedgerState state;
  using nlohmann::json;
  for (const json& entry : {json(), json(1), json::object(), json{{"run", 1}}, json{{"gone", 1}},
                            json{{"alive", -1}, {"except", json::array()}}, json{{"alive", 1}},
                            json{{"alive", 1}, {"except", {1}}}, json{{"what", 1}}}) {
    EXPECT_FALSE(Apply(entry, state)) << entry.dump();
  }
  EXPECT_EQ(state, LedgerState());
}

}  // namespace
}  // namespace farlet::metering::testing
