#include "provider/pod/status_writer.h"

#include "tests/fakes/apiserver/fake_api_server_harness.h"

#include <gtest/gtest.h>

#include <mutex>
#include <string>
#include <vector>

namespace farlet::pod {
namespace {

using testing::Eventually;
using testing::Json;

class StatusWriterTest : public ::testing::Test {
 protected:
  using Kind = StatusWriter::Report::Kind;

  StatusWriterTest() { Put("a"); }

  static std::string Path(const std::string& name) {
    return "/api/v1/namespaces/default/pods/" + name;
  }

  void Put(const std::string& name) {
    api_.api.Put(Path(name),
                 {{"metadata", {{"name", name}, {"namespace", "default"}, {"uid", "u-" + name}}},
                  {"spec", {{"nodeName", "n"}}},
                  {"status", {{"phase", "Pending"}}}});
  }

  StatusUpdate Update(const std::string& name, const std::string& phase, Urgency urgency) {
    return {.uid = "u-" + name,
            .pod_namespace = "default",
            .name = name,
            .object = std::make_shared<const Json>(*api_.api.Find(Path(name))),
            .status = {{"phase", phase}},
            .urgency = urgency};
  }

  std::string Phase(const std::string& name) {
    return (*api_.api.Find(Path(name)))["status"]["phase"];
  }

  int Patches() { return api_.api.Requests("PATCH", "pods/status"); }

  int Reports(Kind kind) {
    const std::lock_guard lock(mutex_);
    int count = 0;
    for (const Kind seen : reports_) {
      count += seen == kind ? 1 : 0;
    }
    return count;
  }

  std::mutex mutex_;  // guards reports_
  std::vector<Kind> reports_;
  testing::ApiHarness api_;
  StatusWriter writer_{api_.client,
                       api_.clock,
                       api_.timers,
                       {.max_in_flight = 2},
                       [this](const StatusWriter::Report& report) {
                         const std::lock_guard lock(mutex_);
                         reports_.push_back(report.kind);
                       }};
};

TEST_F(StatusWriterTest, WritesWithTheUidAsGuard) {
  writer_.Submit(Update("a", "Running", Urgency::kNow));
  ASSERT_TRUE(Eventually([&] { return Reports(Kind::kAccepted) == 1; }));
  EXPECT_EQ(Phase("a"), "Running");
  for (const testing::ApiCall& call : api_.api.History()) {
    if (call.verb == "PATCH") {
      EXPECT_EQ(call.body["metadata"]["uid"], "u-a");
    }
  }
  EXPECT_EQ(api_.api.Requests("GET", "pods"), 0);
}

TEST_F(StatusWriterTest, EqualStatusIsNotSent) {
  writer_.Submit(Update("a", "Pending", Urgency::kNow));
  EXPECT_EQ(Reports(Kind::kAccepted), 1);
  EXPECT_EQ(Patches(), 0);
}

TEST_F(StatusWriterTest, KnowsWhatItWroteBeforeTheInformerDoes) {
  StatusUpdate update = Update("a", "Running", Urgency::kNow);
  writer_.Submit(update);
  ASSERT_TRUE(Eventually([&] { return Reports(Kind::kAccepted) == 1; }));
  writer_.Submit(update);  // against the old object
  EXPECT_EQ(Reports(Kind::kAccepted), 2);
  EXPECT_EQ(Patches(), 1);
}

TEST_F(StatusWriterTest, StatusOnTheWayWaitsForABetterOne) {
  StatusUpdate early = Update("a", "Pending", Urgency::kSoon);
  early.status["message"] = "x";
  writer_.Submit(early);
  EXPECT_EQ(Patches(), 0);
  writer_.Submit(Update("a", "Running", Urgency::kNow));
  ASSERT_TRUE(Eventually([&] { return Reports(Kind::kAccepted) == 1; }));
  api_.Advance(seconds(10));
  EXPECT_EQ(Patches(), 1);
}

TEST_F(StatusWriterTest, StatusOnTheWayIsWrittenWhenNothingBetterComes) {
  StatusUpdate early = Update("a", "Pending", Urgency::kSoon);
  early.status["message"] = "x";
  writer_.Submit(early);
  api_.Advance(milliseconds(1999));
  EXPECT_EQ(Patches(), 0);
  api_.Advance(milliseconds(1));
  EXPECT_TRUE(Eventually([&] { return Reports(Kind::kAccepted) == 1; }));
}

TEST_F(StatusWriterTest, StatusOnTheWayWaitsLongerWhileManyPodsStart) {
  writer_.SetCrowded(true);
  StatusUpdate early = Update("a", "Pending", Urgency::kSoon);
  early.status["message"] = "x";
  writer_.Submit(early);
  api_.Advance(milliseconds(9999));
  EXPECT_EQ(Patches(), 0);
  api_.Advance(milliseconds(1));
  EXPECT_TRUE(Eventually([&] { return Reports(Kind::kAccepted) == 1; }));
}

TEST_F(StatusWriterTest, StatusOnTheWayWaitsForACrowdThatCameLater) {
  StatusUpdate early = Update("a", "Pending", Urgency::kSoon);
  early.status["message"] = "x";
  writer_.Submit(early);
  api_.Advance(seconds(1));
  writer_.SetCrowded(true);
  api_.Advance(milliseconds(8999));
  EXPECT_EQ(Patches(), 0);
  api_.Advance(milliseconds(1));
  EXPECT_TRUE(Eventually([&] { return Reports(Kind::kAccepted) == 1; }));
}

TEST_F(StatusWriterTest, RetriesForEverAndTheNewestWins) {
  api_.api.InjectFault({.verb = "PATCH", .times = 3, .status = 500});
  writer_.Submit(Update("a", "Running", Urgency::kNow));
  ASSERT_TRUE(Eventually([&] { return Reports(Kind::kRefused) == 1; }));
  writer_.Submit(Update("a", "Failed", Urgency::kFinal));
  ASSERT_TRUE(api_.AdvanceUntil(seconds(1), [&] { return Reports(Kind::kAccepted) == 1; }));
  EXPECT_EQ(Phase("a"), "Failed");
  EXPECT_EQ(Reports(Kind::kRefused), 3);
}

TEST_F(StatusWriterTest, DeletesOnceTheStatusIsThere) {
  StatusUpdate update = Update("a", "Failed", Urgency::kFinal);
  update.then_delete = true;
  api_.api.InjectFault({.verb = "DELETE", .times = 1, .status = 500});
  writer_.Submit(update);
  ASSERT_TRUE(api_.AdvanceUntil(seconds(1), [&] { return Reports(Kind::kGone) == 1; }));
  EXPECT_FALSE(api_.api.Find(Path("a")));
  EXPECT_EQ(Patches(), 1);
}

TEST_F(StatusWriterTest, AnotherPodOfTheNameIsLeftAlone) {
  StatusUpdate update = Update("a", "Failed", Urgency::kFinal);
  update.uid = "u-old";
  update.then_delete = true;
  writer_.Submit(update);
  ASSERT_TRUE(Eventually([&] { return Reports(Kind::kGone) == 1; }));
  EXPECT_EQ(Phase("a"), "Pending");
}

TEST_F(StatusWriterTest, PodThatIsGoneIsDropped) {
  const StatusUpdate update = Update("a", "Running", Urgency::kNow);
  api_.api.Remove(Path("a"));
  writer_.Submit(update);
  ASSERT_TRUE(Eventually([&] { return Reports(Kind::kGone) == 1; }));
  EXPECT_EQ(Patches(), 1);
}

TEST_F(StatusWriterTest, ManyAtOnceAllArrive) {
  for (int i = 0; i < 50; ++i) {
    const std::string name = "m" + std::to_string(i);
    Put(name);
    writer_.Submit(Update(name, "Running", i % 2 == 0 ? Urgency::kNow : Urgency::kFinal));
  }
  EXPECT_TRUE(Eventually([&] { return Reports(Kind::kAccepted) == 50; }));
  EXPECT_EQ(Patches(), 50);
}

}  // namespace
}  // namespace farlet::pod
