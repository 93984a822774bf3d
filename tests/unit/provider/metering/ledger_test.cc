#include "provider/metering/ledger.h"

#include "runtime/base/file.h"
#include "tests/fakes/clock/fake_clock.h"
#include "tests/unit/provider/metering/run_builder.h"

#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <memory>
#include <vector>

namespace farlet::metering::testing {
namespace {

using farlet::testing::FakeClock;

class LedgerTest : public ::testing::Test {
 protected:
  LedgerTest() { Restart(); }

  // As a kill does it: nothing is said to anybody.
  void Restart() {
    ledger_.reset();
    ledger_ = std::make_unique<Ledger>(folder_.path(), clock_, limits_);
  }

  WallTime Now() const { return clock_.WallNow(); }

  GroupTotal Counter() const {
    const auto counters = ledger_->Counters();
    const auto found = counters.find({.object_namespace = "default", .profile = "fp"});
    return found == counters.end() ? GroupTotal() : found->second;
  }

  void BeginNow(const std::string& uid) {
    ledger_->Begin(Small(uid));
    ledger_->Note(uid, Moment::kImageBegun, Now());
  }

  TempFolder folder_;
  FakeClock clock_;
  Limits limits_;
  std::unique_ptr<Ledger> ledger_;
};

// Every step of a pod's life, as it is told; the agent is killed before each of them in turn, and
// what the next one is told again changes nothing.
TEST_F(LedgerTest, AKillAnywhereChangesNothing) {
  const WallTime start = Now();
  const std::vector<std::function<void()>> steps{
      [&] { ledger_->Begin(Small("a")); },
      [&] { ledger_->Note("a", Moment::kSandboxBegun, start); },
      [&] { ledger_->Note("a", Moment::kImageBegun, start + milliseconds(1)); },
      [&] { ledger_->Note("a", Moment::kImageReady, start + seconds(2)); },
      [&] { ledger_->NotePull("a", seconds(2)); },
      [&] { ledger_->Note("a", Moment::kStarted, start + seconds(3)); },
      [&] { ledger_->Saw("a"); },
      [&] { ledger_->Tick(start + seconds(25), {"a"}); },
      [&] { ledger_->End("a", start + seconds(61)); },
      [&] { ledger_->Gone("a", start + seconds(70)); },
  };
  for (size_t kill = 0; kill <= steps.size(); ++kill) {
    for (const auto& file : std::filesystem::directory_iterator(folder_.path())) {
      std::filesystem::remove(file.path());
    }
    Restart();
    for (size_t i = 0; i < steps.size(); ++i) {
      if (i == kill) {
        Restart();
        for (size_t again = 0; again < i; ++again) {
          steps[again]();
        }
      }
      steps[i]();
    }
    Restart();
    const GroupTotal counter = Counter();
    EXPECT_EQ(fargate::CostText(counter.charge.cost), "0.0002091368") << kill;
    EXPECT_EQ(counter.charge.usage.milli_cpu_seconds, 61 * 250);
    EXPECT_EQ(counter.charge.usage.mebibyte_seconds, 61 * 512);
    EXPECT_EQ(counter.pods, 1);
    EXPECT_EQ(counter.running, 0);
    const Report report = ledger_->MakeReport({.pods = true});
    ASSERT_EQ(report.pods.size(), 1u);
    EXPECT_EQ(report.pods[0].run.at(Moment::kStarted), start + seconds(3));
    EXPECT_EQ(report.pods[0].run.pull, seconds(2));
    EXPECT_EQ(report.pods[0].billed, seconds(61));
  }
}

// The files as they are after each entry: the agent and the machine may end in between.
TEST_F(LedgerTest, EveryStateOfTheJournalContinues) {
  BeginNow("a");
  ledger_->End("a", Now() + seconds(61));
  BeginNow("b");
  ledger_->End("b", Now() + seconds(10));
  const auto path = folder_.path() / "journal-1";
  const std::string whole = *ReadFile(path);
  const std::string snapshot = *ReadFile(folder_.path() / "ledger.json");
  for (size_t bytes = 0; bytes <= whole.size(); bytes += 13) {
    TempFolder copy;
    std::ofstream(copy.path() / "journal-1", std::ios::binary) << whole.substr(0, bytes);
    std::ofstream(copy.path() / "ledger.json", std::ios::binary) << snapshot;
    Ledger ledger(copy.path(), clock_, limits_);
    for (const char* uid : {"a", "b"}) {
      ledger.Begin(Small(uid));
      ledger.Note(uid, Moment::kImageBegun, Now());
    }
    ledger.End("a", Now() + seconds(61));
    ledger.End("b", Now() + seconds(10));
    EXPECT_EQ(ledger.Counters(), ledger_->Counters()) << bytes;
  }
}

TEST_F(LedgerTest, TheFirstTimeCounts) {
  BeginNow("a");
  const WallTime begun = Now();
  clock_.Advance(seconds(30));
  BeginNow("a");
  ledger_->End("a", begun + seconds(61));
  ledger_->End("a", begun + seconds(100));
  ledger_->Note("a", Moment::kReady, begun);
  const Report report = ledger_->MakeReport({.pods = true});
  ASSERT_EQ(report.pods.size(), 1u);
  EXPECT_EQ(report.pods[0].billed, seconds(61));
  EXPECT_FALSE(report.pods[0].run.at(Moment::kReady));
}

TEST_F(LedgerTest, WhatWasNeverBilledIsDropped) {
  ledger_->Begin(Small("a"));
  ledger_->End("a", Now());
  EXPECT_TRUE(ledger_->Knows("a"));
  ledger_->Gone("a", Now());
  EXPECT_FALSE(ledger_->Knows("a"));
  EXPECT_EQ(ledger_->Counters().size(), 0u);
}

TEST_F(LedgerTest, CountersOnlyGrow) {
  BeginNow("a");
  ledger_->Saw("a");
  const WallTime begun = Now();
  int64_t last = 0;
  const auto expect = [&](int64_t billed) {
    const int64_t now = Counter().charge.usage.milli_cpu_seconds;
    EXPECT_EQ(now, billed * 250);
    EXPECT_GE(now, last);
    last = now;
    Restart();
    EXPECT_EQ(Counter().charge.usage.milli_cpu_seconds, now);
  };
  expect(60);
  clock_.Advance(seconds(100));
  ledger_->Saw("a");
  ledger_->Tick(Now() - seconds(5), {"a"});
  expect(95);
  // An agent that has not seen it yet does not vouch for it.
  clock_.Advance(seconds(100));
  ledger_->Tick(Now() - seconds(5), {"a"});
  expect(95);
  ledger_->End("a", begun + seconds(120));
  expect(120);
}

TEST_F(LedgerTest, WhatVanishedEndedWhenItWasLastKnown) {
  BeginNow("a");
  BeginNow("b");
  const WallTime begun = Now();
  for (const char* uid : {"a", "b"}) {
    ledger_->Saw(uid);
  }
  ledger_->Tick(begun + seconds(90), {"a", "b"});
  clock_.Advance(std::chrono::hours(10));
  Restart();
  ledger_->Tick(Now(), {"b"});
  EXPECT_EQ(Counter().running, 2);  // it may only not have been looked at yet
  ledger_->Tick(Now(), {"b"});
  EXPECT_EQ(Counter().running, 1);
  const Report report = ledger_->MakeReport({.pods = true});
  ASSERT_EQ(report.pods.size(), 2u);
  EXPECT_EQ(report.pods[0].run.end, begun + seconds(90));
}

TEST_F(LedgerTest, FoldedPodsAreNotCountedAnew) {
  limits_.runs = 4;
  Restart();
  for (int i = 0; i < 20; ++i) {
    const std::string uid = std::to_string(i);
    BeginNow(uid);
    clock_.Advance(seconds(61));
    ledger_->End(uid, Now());
  }
  EXPECT_EQ(Counter().pods, 20);
  EXPECT_LE(ledger_->MakeReport({.pods = true}).pods.size(), 4u);
  const GroupTotal before = Counter();
  EXPECT_EQ(before.charge.cost, 20 * 2'091'368);
  Restart();
  for (int i = 0; i < 20; ++i) {
    BeginNow(std::to_string(i));
    ledger_->End(std::to_string(i), Now());
  }
  EXPECT_EQ(Counter(), before);
  // Their objects go while no agent is there: nothing has to be remembered any more.
  ledger_->Tick(Now(), {});
  ledger_->Tick(Now(), {});
  EXPECT_FALSE(ledger_->Knows("0"));
  EXPECT_EQ(Counter(), before);
}

TEST_F(LedgerTest, TooManyGroupsAreCountedTogether) {
  limits_.groups = 3;
  Restart();
  for (int i = 0; i < 10; ++i) {
    PodRun run = Small(std::to_string(i));
    run.object_namespace = "ns-" + std::to_string(i);
    ledger_->Begin(run);
    ledger_->Note(run.uid, Moment::kImageBegun, Now());
    ledger_->End(run.uid, Now() + seconds(61));
  }
  const auto counters = ledger_->Counters();
  EXPECT_EQ(counters.size(), 4u);
  EXPECT_EQ(counters.at({.object_namespace = kOther, .profile = kOther}).pods, 7);
}

TEST_F(LedgerTest, ACorruptFileIsNoReasonToStop) {
  BeginNow("a");
  ledger_->End("a", Now() + seconds(61));
  Restart();  // all of it is in the snapshot now
  std::ofstream(folder_.path() / "ledger.json") << R"({"version":1,"journal":2,"runs":[{}]})";
  Restart();
  EXPECT_EQ(ledger_->Counters().size(), 0u);
  BeginNow("b");
  Restart();
  EXPECT_TRUE(ledger_->Knows("b"));
  int aside = 0;
  for (const auto& file : std::filesystem::directory_iterator(folder_.path())) {
    aside += file.path().string().find("ledger.json.corrupt-") != std::string::npos ? 1 : 0;
  }
  EXPECT_EQ(aside, 1);
}

TEST_F(LedgerTest, GoesOnInMemoryWithoutADisk) {
  std::ofstream(folder_.path() / "file") << "x";
  Ledger ledger(folder_.path() / "file" / "metering", clock_, limits_);
  ledger.Begin(Small("a"));
  ledger.Note("a", Moment::kImageBegun, Now());
  ledger.End("a", Now() + seconds(61));
  ledger.Tick(Now(), {"a"});
  ledger.Sync();
  EXPECT_EQ(ledger.Counters().size(), 1u);
}

// Ten thousand pods: the files stay small.
TEST_F(LedgerTest, FilesAreBounded) {
  limits_.runs = 200;
  Restart();
  uintmax_t most = 0;
  for (int i = 0; i < 10'000; ++i) {
    const std::string uid = std::to_string(i);
    BeginNow(uid);
    clock_.Advance(seconds(30));
    ledger_->End(uid, Now());
    ledger_->Gone(uid, Now());
    if (i % 1000 == 0) {
      uintmax_t bytes = 0;
      for (const auto& file : std::filesystem::directory_iterator(folder_.path())) {
        bytes += std::filesystem::file_size(file.path());
      }
      most = std::max(most, bytes);
    }
  }
  EXPECT_LT(most, 3u << 20);
  EXPECT_EQ(Counter().pods, 10'000);
  EXPECT_EQ(Counter().charge.usage.milli_cpu_seconds, int64_t{10'000} * 60 * 250);
}

}  // namespace
}  // namespace farlet::metering::testing
