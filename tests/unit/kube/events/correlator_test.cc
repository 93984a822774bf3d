#include "kube/events/correlator.h"

#include "tests/fakes/clock/fake_clock.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>

namespace farlet::kube {
namespace {

const ObjectReference kPod{.kind = "Pod",
                           .api_version = "v1",
                           .object_namespace = "shop",
                           .name = "web-0",
                           .uid = "u1",
                           .resource_version = "7",
                           .field_path = "spec.containers{web}"};

class CorrelatorTest : public ::testing::Test {
 protected:
  std::optional<CorrelatedEvent> Observe(const std::string& message,
                                         const ObjectReference& object = kPod) {
    return correlator_.Observe(object, EventType::kWarning, "BackOff", message);
  }

  farlet::testing::FakeClock clock_;
  EventCorrelator correlator_{clock_, "kubelet", "node-1"};
};

TEST_F(CorrelatorTest, FillsInTheWholeEvent) {
  const auto made = Observe("Back-off");
  ASSERT_TRUE(made);
  EXPECT_FALSE(made->repeated);
  const Json expected = Json::parse(R"({
    "apiVersion": "v1", "kind": "Event",
    "metadata": {"name": "web-0.1886d1c02a9cf200", "namespace": "shop"},
    "involvedObject": {"kind": "Pod", "apiVersion": "v1", "namespace": "shop", "name": "web-0",
                       "uid": "u1", "resourceVersion": "7", "fieldPath": "spec.containers{web}"},
    "reason": "BackOff", "message": "Back-off", "type": "Warning", "count": 1,
    "source": {"component": "kubelet", "host": "node-1"},
    "firstTimestamp": "2026-01-02T03:04:05Z", "lastTimestamp": "2026-01-02T03:04:05Z",
    "reportingComponent": "kubelet", "reportingInstance": "node-1"})");
  Json event = made->event;
  EXPECT_EQ(event["metadata"]["name"].get<std::string>().substr(0, 8), "web-0.18");
  event["metadata"]["name"] = expected["metadata"]["name"];
  EXPECT_EQ(event, expected);
}

TEST_F(CorrelatorTest, CountsEqualOnes) {
  const auto first = Observe("Back-off");
  clock_.Advance(seconds(10));
  const auto second = Observe("Back-off");
  ASSERT_TRUE(second);
  EXPECT_TRUE(second->repeated);
  EXPECT_EQ(second->key, first->key);
  EXPECT_EQ(second->event["metadata"]["name"], first->event["metadata"]["name"]);
  EXPECT_EQ(second->event["firstTimestamp"], "2026-01-02T03:04:05Z");
  EXPECT_EQ(
      UpdateOf(second->event),
      (Json{{"count", 2}, {"lastTimestamp", "2026-01-02T03:04:15Z"}, {"message", "Back-off"}}));
}

TEST_F(CorrelatorTest, CombinesSimilarOnesFromTheTenth) {
  for (int i = 1; i < 10; ++i) {
    EXPECT_EQ(Observe("m" + std::to_string(i))->event["message"], "m" + std::to_string(i));
  }
  const auto tenth = Observe("m10");
  EXPECT_EQ(tenth->event["message"], "(combined from similar events): m10");
  EXPECT_FALSE(tenth->repeated);
  const auto eleventh = Observe("m11");
  EXPECT_EQ(eleventh->event["message"], "(combined from similar events): m11");
  EXPECT_EQ(eleventh->event["count"], 2);
  EXPECT_EQ(eleventh->key, tenth->key);
  // Ten quiet minutes begin a new group.
  clock_.Advance(std::chrono::minutes(10) + seconds(1));
  EXPECT_EQ(Observe("m12")->event["message"], "m12");
}

TEST_F(CorrelatorTest, LimitsEachObject) {
  int passed = 0;
  for (int i = 0; i < 100; ++i) {
    passed += Observe("Back-off").has_value() ? 1 : 0;
  }
  EXPECT_EQ(passed, 25);
  clock_.Advance(seconds(299));
  EXPECT_FALSE(Observe("Back-off"));
  clock_.Advance(seconds(1));
  const auto later = Observe("Back-off");
  ASSERT_TRUE(later);
  // What was filtered is counted.
  EXPECT_EQ(later->event["count"], 102);
  ObjectReference other = kPod;
  other.uid = "u2";
  EXPECT_TRUE(Observe("Back-off", other));
}

TEST_F(CorrelatorTest, CutsMessagesAtACharacter) {
  std::string text(1020, 'x');
  text += "éééééééé";
  const std::string message = Observe(text)->event["message"];
  EXPECT_EQ(message, std::string(1020, 'x') + "...");
  EXPECT_EQ(Observe(std::string(1024, 'y'))->event["message"], std::string(1024, 'y'));
}

TEST_F(CorrelatorTest, EventsOfANodeGoToDefault) {
  const ObjectReference node{
      .kind = "Node", .api_version = "v1", .name = "node-1", .uid = "node-1"};
  const auto made = Observe("x", node);
  EXPECT_EQ(made->event["metadata"]["namespace"], "default");
  EXPECT_FALSE(made->event["involvedObject"].contains("namespace"));
}

TEST_F(CorrelatorTest, NamesDoNotRepeatWithinOneInstant) {
  EXPECT_NE(Observe("a")->event["metadata"]["name"], Observe("b")->event["metadata"]["name"]);
}

}  // namespace
}  // namespace farlet::kube
