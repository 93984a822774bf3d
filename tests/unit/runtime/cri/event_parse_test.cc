#include "runtime/cri/event_parse.h"

#include "proto/containerd/events/events.pb.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>

namespace farlet::cri {
namespace {

using Envelope = ::containerd::services::events::v1::Envelope;
using Kind = RuntimeEvent::Kind;

Envelope Make(const std::string& topic, const std::string& payload) {
  Envelope envelope;
  envelope.set_namespace_("k8s.io");
  envelope.set_topic(topic);
  envelope.mutable_event()->set_value(payload);
  return envelope;
}

std::string Exit(const std::string& container, const std::string& exec) {
  ::containerd::events::TaskExit exit;
  exit.set_container_id(container);
  exit.set_id(exec);
  return exit.SerializeAsString();
}

std::string Delete(const std::string& container, const std::string& exec) {
  ::containerd::events::TaskDelete deletion;
  deletion.set_container_id(container);
  deletion.set_id(exec);
  return deletion.SerializeAsString();
}

template <class Message>
std::string Of(const std::string& id) {
  Message message;
  message.set_container_id(id);
  return message.SerializeAsString();
}

TEST(EventParseTest, UnderstandsWhatConcernsContainers) {
  ::containerd::events::ContainerDelete gone;
  gone.set_id("c1");

  struct Case {
    std::string topic;
    std::string payload;
    std::optional<Kind> expected;
  };

  for (const Case& test :
       {Case{"/tasks/exit", Exit("c1", "c1"), Kind::kStopped},
        Case{"/tasks/exit", Exit("c1", ""), Kind::kStopped},
        Case{"/tasks/exit", Exit("c1", "exec-7"), std::nullopt},
        Case{"/tasks/delete", Delete("c1", ""), Kind::kStopped},
        Case{"/tasks/delete", Delete("c1", "exec-7"), std::nullopt},
        Case{"/tasks/start", Of<::containerd::events::TaskStart>("c1"), Kind::kStarted},
        Case{"/tasks/oom", Of<::containerd::events::TaskOOM>("c1"), Kind::kOutOfMemory},
        Case{"/containers/delete", gone.SerializeAsString(), Kind::kDeleted},
        Case{"/images/create", "whatever", std::nullopt}}) {
    const auto event = ParseEvent(Make(test.topic, test.payload));
    ASSERT_TRUE(event) << test.topic;
    ASSERT_EQ(event->has_value(), test.expected.has_value()) << test.topic;
    if (test.expected) {
      EXPECT_EQ((*event)->kind, *test.expected) << test.topic;
      EXPECT_EQ((*event)->id, "c1");
    }
  }
}

TEST(EventParseTest, IgnoresOtherNamespaces) {
  Envelope envelope = Make("/tasks/exit", Exit("c1", "c1"));
  envelope.set_namespace_("moby");
  const auto event = ParseEvent(envelope);
  ASSERT_TRUE(event);
  EXPECT_FALSE(event->has_value());
}

TEST(EventParseTest, RefusesWhatNoRuntimeSends) {
  EXPECT_FALSE(ParseEvent(Make("/tasks/exit", "\xff\xff\xff")));
  EXPECT_FALSE(ParseEvent(Make("/tasks/exit", "")));
  EXPECT_FALSE(ParseEvent(Make("/tasks/exit", Exit(std::string(257, 'a'), ""))));
  EXPECT_TRUE(ParseEvent(Make("/tasks/exit", Exit(std::string(256, 'a'), ""))));
  EXPECT_FALSE(ParseEvent(Make("/tasks/exit", Exit("c1", std::string(70'000, 'a')))));
}

TEST(EventParseTest, UnderstandsCriEvents) {
  ::runtime::v1::ContainerEventResponse response;
  response.set_container_id("c1");
  response.set_container_event_type(::runtime::v1::CONTAINER_STOPPED_EVENT);
  auto event = ParseEvent(response);
  ASSERT_TRUE(event && event->has_value());
  EXPECT_EQ((*event)->kind, Kind::kStopped);

  response.set_container_event_type(::runtime::v1::CONTAINER_CREATED_EVENT);
  event = ParseEvent(response);
  ASSERT_TRUE(event);
  EXPECT_FALSE(event->has_value());

  response.set_container_id("");
  response.set_container_event_type(::runtime::v1::CONTAINER_DELETED_EVENT);
  EXPECT_FALSE(ParseEvent(response));
}

}  // namespace
}  // namespace farlet::cri
