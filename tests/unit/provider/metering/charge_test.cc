#include "provider/metering/charge.h"

#include "tests/unit/provider/metering/run_builder.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace farlet::metering::testing {
namespace {

using std::chrono::nanoseconds;

// The last digit of the published formula: 61 × (0.25 × 0.04048 + 0.5 × 0.004445) / 3600.
TEST(ChargeTest, OfAJobOf61Seconds) {
  for (const nanoseconds run :
       {nanoseconds(seconds(60)) + nanoseconds(1), nanoseconds(seconds(61))}) {
    const PodRun job = Ran("a", kStart, kStart + run);
    EXPECT_EQ(BilledSeconds(job, kStart), seconds(61));
    EXPECT_EQ(ChargeOf(job, kStart).usage.milli_cpu_seconds, 61 * 250);
    EXPECT_EQ(fargate::CostText(ChargeOf(job, kStart).cost), "0.0002091368");
  }
}

TEST(ChargeTest, NothingBeforeItIsBilled) {
  EXPECT_EQ(ChargeOf(Small("a"), kStart), Charge());
  EXPECT_EQ(BilledSeconds(Small("a"), kStart), seconds(0));
}

TEST(ChargeTest, OpenRunsGrowWithTime) {
  PodRun run = Small("a");
  run.at(Moment::kImageBegun) = kStart;
  EXPECT_EQ(BilledSeconds(run, kStart), seconds(60));
  EXPECT_EQ(BilledSeconds(run, kStart + seconds(90)), seconds(90));
  // A clock that was set back.
  EXPECT_EQ(BilledSeconds(run, kStart - seconds(90)), seconds(60));
}

// Wherever a run is cut, its parts add up to the whole, to the last digit.
TEST(ChargeTest, PartsAddUp) {
  PodRun run = Ran("a", kStart + milliseconds(123), kStart + seconds(1000) + milliseconds(700));
  run.rates = {.vcpu = 41, .gigabyte = 7, .storage = 3};
  run.storage = {30 * fargate::kGi};
  for (const int step : {1, 7, 59, 60, 61, 333, 5000}) {
    Charge sum;
    Charge before;
    for (WallTime cut = kStart; cut < kStart + seconds(6000); cut += seconds(step)) {
      const Charge now = ChargeBefore(run, cut, *run.end);
      Charge part = now;
      part -= before;
      EXPECT_GE(part.cost, 0);
      sum += part;
      before = now;
    }
    EXPECT_EQ(sum, ChargeOf(run, *run.end)) << step;
  }
}

TEST(ChargeTest, TheMinimumFallsIntoTheEnd) {
  const PodRun run = Ran("a", kStart, kStart + seconds(10));
  EXPECT_EQ(ChargeBefore(run, kStart + seconds(9), *run.end).usage.milli_cpu_seconds, 9 * 250);
  EXPECT_EQ(ChargeBefore(run, kStart + seconds(10), *run.end).usage.milli_cpu_seconds, 60 * 250);
}

TEST(PodRunTest, IsReadAsItWasWritten) {
  PodRun run = Ran("a", kStart + nanoseconds(1), kStart + seconds(61));
  run.at(Moment::kReady) = kStart + seconds(3);
  run.pull = milliseconds(412);
  run.alive = kStart + seconds(5);
  run.gone = true;
  const auto read = PodRunFromJson(PodRunToJson(run));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, run);
}

TEST(PodRunTest, NonsenseIsRefusedByName) {
  const nlohmann::json good = PodRunToJson(Ran("a", kStart, kStart));
  const std::pair<const char*, nlohmann::json> changes[] = {
      {"uid", ""},           {"uid", 7},        {"namespace", std::string(254, 'x')},
      {"milliCpu", -1},      {"milliCpu", 1e9}, {"memory", "1"},
      {"rateVcpu", 1 << 30}, {"end", "today"},  {"imageBegun", -5},
      {"gone", "yes"},       {"pull", nullptr},
  };
  for (const auto& [key, value] : changes) {
    nlohmann::json bad = good;
    bad[key] = value;
    const auto read = PodRunFromJson(bad);
    if (std::string(key) == "rateVcpu") {
      EXPECT_TRUE(read);  // high, but a rate
      continue;
    }
    ASSERT_FALSE(read) << bad.dump();
    EXPECT_NE(read.error().message.find(key), std::string::npos) << read.error().message;
  }
  EXPECT_FALSE(PodRunFromJson(nlohmann::json::array()));
}

TEST(StartTimesTest, SayWhereTheTimeWent) {
  PodRun run = Small("a");
  run.at(Moment::kCreated) = kStart;
  run.at(Moment::kScheduled) = kStart + seconds(1);
  run.at(Moment::kSandboxBegun) = kStart + milliseconds(1500);
  run.at(Moment::kSandboxReady) = kStart + milliseconds(2000);
  run.at(Moment::kImageReady) = kStart + milliseconds(4000);
  run.at(Moment::kStarted) = kStart + milliseconds(4300);
  run.at(Moment::kReady) = kStart + milliseconds(9300);
  run.pull = milliseconds(2400);
  const StartTimes times = StartTimesOf(run);
  EXPECT_EQ(times.scheduled, seconds(1));
  EXPECT_EQ(times.sandbox, milliseconds(500));
  EXPECT_EQ(times.pull, milliseconds(2400));
  EXPECT_EQ(times.start, milliseconds(300));
  EXPECT_EQ(times.ready, seconds(5));
}

TEST(StartTimesTest, WhatIsNotKnownIsEmpty) {
  PodRun run = Small("a");
  run.at(Moment::kStarted) = kStart;
  run.at(Moment::kReady) = kStart - seconds(1);  // of another clock
  const StartTimes times = StartTimesOf(run);
  EXPECT_FALSE(times.scheduled || times.sandbox || times.pull || times.start);
  EXPECT_EQ(times.ready, seconds(0));
}

}  // namespace
}  // namespace farlet::metering::testing
