#include "runtime/cri/event_parse.h"

#include "proto/containerd/events/events.pb.h"

#include <fmt/format.h>

#include <string_view>
#include <utility>

namespace farlet::cri {
namespace {

namespace events = ::containerd::events;
using Kind = RuntimeEvent::Kind;
using Parsed = Result<std::optional<RuntimeEvent>>;

constexpr std::string_view kNamespace = "k8s.io";  // where containerd's CRI plugin keeps its things
constexpr size_t kMaxPayloadBytes = 64 << 10;
constexpr size_t kMaxIdBytes = 256;

Parsed Event(Kind kind, const std::string& id) {
  if (id.empty() || id.size() > kMaxIdBytes) {
    return Internal(fmt::format("runtime event has an id of {} bytes", id.size()));
  }
  return RuntimeEvent{.kind = kind, .id = id};
}

template <class Message>
Result<Message> Decode(std::string_view topic, const std::string& payload) {
  Message message;
  if (payload.size() > kMaxPayloadBytes || !message.ParseFromString(payload)) {
    return Internal(fmt::format("runtime event {} has an unreadable payload of {} bytes",
                                topic.substr(0, 64), payload.size()));
  }
  return message;
}

// Tasks are a container's or sandbox's main process and, with another `id`, the execs into it.
template <class Message>
Parsed TaskEnd(std::string_view topic, const std::string& payload) {
  FARLET_ASSIGN(const Message message, Decode<Message>(topic, payload));
  if (!message.id().empty() && message.id() != message.container_id()) {
    return std::optional<RuntimeEvent>();
  }
  return Event(Kind::kStopped, message.container_id());
}

template <class Message>
Parsed TaskEvent(Kind kind, std::string_view topic, const std::string& payload) {
  FARLET_ASSIGN(const Message message, Decode<Message>(topic, payload));
  return Event(kind, message.container_id());
}

}  // namespace

std::vector<std::string> ContainerdEventFilters() {
  std::vector<std::string> filters;
  for (const std::string_view topic :
       {"/tasks/start", "/tasks/exit", "/tasks/delete", "/tasks/oom", "/containers/delete"}) {
    filters.push_back(fmt::format(R"(namespace=="{}",topic=="{}")", kNamespace, topic));
  }
  return filters;
}

Parsed ParseEvent(const ::containerd::services::events::v1::Envelope& envelope) {
  const std::string& topic = envelope.topic();
  const std::string& payload = envelope.event().value();
  if (envelope.namespace_() != kNamespace) {
    return std::optional<RuntimeEvent>();
  }
  if (topic == "/tasks/start") {
    return TaskEvent<events::TaskStart>(Kind::kStarted, topic, payload);
  }
  if (topic == "/tasks/oom") {
    return TaskEvent<events::TaskOOM>(Kind::kOutOfMemory, topic, payload);
  }
  if (topic == "/tasks/exit") {
    return TaskEnd<events::TaskExit>(topic, payload);
  }
  if (topic == "/tasks/delete") {
    return TaskEnd<events::TaskDelete>(topic, payload);
  }
  if (topic == "/containers/delete") {
    FARLET_ASSIGN(const auto message, Decode<events::ContainerDelete>(topic, payload));
    return Event(Kind::kDeleted, message.id());
  }
  return std::optional<RuntimeEvent>();
}

Parsed ParseEvent(const ::runtime::v1::ContainerEventResponse& event) {
  switch (event.container_event_type()) {
    case ::runtime::v1::CONTAINER_STARTED_EVENT:
      return Event(Kind::kStarted, event.container_id());
    case ::runtime::v1::CONTAINER_STOPPED_EVENT:
      return Event(Kind::kStopped, event.container_id());
    case ::runtime::v1::CONTAINER_DELETED_EVENT:
      return Event(Kind::kDeleted, event.container_id());
    default:
      return std::optional<RuntimeEvent>();
  }
}

}  // namespace farlet::cri
