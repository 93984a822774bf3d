#include "kube/events/recorder.h"

#include "tests/fakes/apiserver/fake_api_server_harness.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace farlet::kube {
namespace {

using ::farlet::testing::ApiHarness;
using ::farlet::testing::Eventually;

const std::string kEvents = "/api/v1/namespaces/shop/events";

ObjectReference Pod(const std::string& name) {
  return {
      .kind = "Pod", .api_version = "v1", .object_namespace = "shop", .name = name, .uid = name};
}

class RecorderTest : public ::testing::Test {
 protected:
  explicit RecorderTest(EventRecorderOptions options = {.component = "kubelet", .host = "node-1"})
      : recorder_(MakeEventRecorder(
            harness_.client, harness_.clock, harness_.timers, std::move(options))) {}

  void Record(const std::string& pod, const std::string& message) {
    recorder_->Record(Pod(pod), EventType::kNormal, "Started", message);
  }

  size_t Stored() { return harness_.api.All(kEvents).size(); }

  bool BecomesOne(int count) {
    return Eventually([&] {
      const auto all = harness_.api.All(kEvents);
      return all.size() == 1 && all[0]["count"] == count;
    });
  }

  ApiHarness harness_;
  std::unique_ptr<EventRecorder> recorder_;
};

TEST_F(RecorderTest, WritesAndCounts) {
  Record("web", "Container started");
  ASSERT_TRUE(BecomesOne(1));
  Record("web", "Container started");
  EXPECT_TRUE(BecomesOne(2));
  EXPECT_EQ(harness_.api.Requests("PATCH", "events"), 1);
}

TEST_F(RecorderTest, NormalEventsRestAndWarningsDoNot) {
  recorder_->SetResting(true);
  Record("web", "Container started");
  recorder_->Record(Pod("web"), EventType::kWarning, "BackOff", "it fell");
  ASSERT_TRUE(BecomesOne(1));
  EXPECT_EQ(harness_.api.All(kEvents)[0]["type"], "Warning");
  recorder_->SetResting(false);
  harness_.Advance(milliseconds(999));
  EXPECT_EQ(Stored(), 1U);
  harness_.Advance(milliseconds(1));
  EXPECT_TRUE(Eventually([&] { return Stored() == 2; }));
}

TEST_F(RecorderTest, CrowdsThatFollowEachOtherAreOneRest) {
  recorder_->SetResting(true);
  Record("web", "Container started");
  recorder_->SetResting(false);
  harness_.Advance(milliseconds(500));
  recorder_->SetResting(true);
  harness_.Advance(milliseconds(5000));
  EXPECT_EQ(Stored(), 0U);
  recorder_->SetResting(false);
  harness_.Advance(milliseconds(1000));
  EXPECT_TRUE(BecomesOne(1));
}

class ShortRestTest : public RecorderTest {
 protected:
  ShortRestTest()
      : RecorderTest(
            {.component = "kubelet", .host = "node-1", .longest_rest = milliseconds(5000)}) {}
};

TEST_F(ShortRestTest, EndsByItself) {
  recorder_->SetResting(true);
  Record("web", "Container started");
  harness_.Advance(milliseconds(4999));
  EXPECT_EQ(Stored(), 0U);
  harness_.Advance(milliseconds(1));
  EXPECT_TRUE(BecomesOne(1));
}

TEST_F(RecorderTest, BeginsAnewWhenTheEventHasExpired) {
  Record("web", "Container started");
  ASSERT_TRUE(BecomesOne(1));
  harness_.api.Remove(kEvents + "/" +
                      harness_.api.All(kEvents)[0]["metadata"]["name"].get<std::string>());
  Record("web", "Container started");
  EXPECT_TRUE(BecomesOne(2));
}

TEST_F(RecorderTest, HasAtMostTwoInFlightAndFoldsWhatWaits) {
  harness_.client.Hold(true);
  for (int i = 0; i < 20; ++i) {
    Record("a", "x");
    Record("b", "x");
    Record("c", "x");
  }
  EXPECT_EQ(harness_.api.TotalRequests(), 2);
  harness_.client.Hold(false);
  ASSERT_TRUE(Eventually([&] {
    const auto all = harness_.api.All(kEvents);
    return all.size() == 3 && all[0]["count"] == 20 && all[1]["count"] == 20 &&
           all[2]["count"] == 20;
  }));
  // One creation each, one update each for the two that were being created.
  EXPECT_EQ(harness_.api.TotalRequests(), 5);
}

TEST_F(RecorderTest, DropsWhatTheServerRefuses) {
  harness_.api.TerminateNamespace("shop");
  Record("web", "x");
  Record("web", "y");
  ASSERT_TRUE(harness_.api.WaitForRequests("POST", "events", 2));
  harness_.Advance(std::chrono::minutes(5));
  EXPECT_EQ(harness_.api.Requests("POST", "events"), 2);
}

TEST_F(RecorderTest, KeepsTryingWhileTheServerIsAway) {
  harness_.api.InjectFault({.times = 4, .drop = true});
  Record("web", "x");
  EXPECT_TRUE(harness_.AdvanceUntil(milliseconds(200), [&] { return Stored() == 1; }));
  EXPECT_EQ(harness_.api.Requests("POST", "events"), 5);
}

TEST_F(RecorderTest, GivesUpOnOneEventInTheEnd) {
  harness_.api.InjectFault({.times = 12, .status = 500});
  Record("web", "x");
  ASSERT_TRUE(harness_.AdvanceUntil(seconds(10),
                                    [&] { return harness_.api.Requests("POST", "events") == 12; }));
  Record("other", "x");
  EXPECT_TRUE(harness_.AdvanceUntil(seconds(10), [&] { return Stored() == 1; }));
}

class SmallRecorderTest : public RecorderTest {
 protected:
  SmallRecorderTest()
      : RecorderTest(
            {.component = "kubelet", .host = "node-1", .qps = 1, .burst = 2, .queue_size = 3}) {}
};

TEST_F(SmallRecorderTest, HoldsToTheRate) {
  for (const char* pod : {"a", "b", "c", "d"}) {
    Record(pod, "x");
  }
  ASSERT_TRUE(Eventually([&] { return Stored() == 2; }));
  harness_.Advance(milliseconds(900));
  EXPECT_EQ(Stored(), 2U);
  EXPECT_TRUE(harness_.AdvanceUntil(milliseconds(100), [&] { return Stored() == 3; }));
  EXPECT_TRUE(harness_.AdvanceUntil(milliseconds(100), [&] { return Stored() == 4; }));
}

TEST_F(SmallRecorderTest, DropsTheOldestWhenItIsFull) {
  harness_.api.InjectFault({.times = 2, .drop = true});
  Record("first", "x");
  ASSERT_TRUE(harness_.api.WaitForRequests("POST", "events", 1));
  for (const char* pod : {"a", "b", "c", "d", "e", "f"}) {
    Record(pod, "x");
  }
  const auto is_stored = [&](const std::string& pod) {
    const auto all = harness_.api.All(kEvents);
    return std::any_of(all.begin(), all.end(),
                       [&](const Json& event) { return event["involvedObject"]["name"] == pod; });
  };
  EXPECT_TRUE(harness_.AdvanceUntil(milliseconds(500), [&] { return is_stored("f"); }));
  EXPECT_FALSE(is_stored("b"));
}

}  // namespace
}  // namespace farlet::kube
