#include "kube/events/correlator.h"

#include "runtime/base/time_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace farlet::kube {
namespace {

// client-go's defaults.
constexpr size_t kSimilarEvents = 10;
constexpr std::chrono::minutes kSimilarInterval(10);
constexpr double kSpamBurst = 25;
constexpr double kSpamRefillSeconds = 300;
constexpr size_t kMaxMessageBytes = 1024;
constexpr size_t kMaxNameBytes = 253;

const char* TypeName(EventType type) {
  return type == EventType::kNormal ? "Normal" : "Warning";
}

// Cuts at a character, not inside one.
std::string Bounded(std::string_view text, size_t limit) {
  if (text.size() <= limit) {
    return std::string(text);
  }
  size_t end = limit - 3;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) {
    --end;
  }
  return std::string(text.substr(0, end)) + "...";
}

// A key of parts that no part can imitate.
template <class... Parts>
std::string Key(const Parts&... parts) {
  std::string key;
  (key.append(parts).push_back('\0'), ...);
  return key;
}

std::string ObjectPart(const ObjectReference& object) {
  return Key(object.kind, object.object_namespace, object.name, object.uid, object.api_version);
}

Json Reference(const ObjectReference& object) {
  Json reference{{"kind", object.kind}, {"apiVersion", object.api_version}, {"name", object.name}};
  const std::pair<const char*, const std::string&> optional[] = {
      {"namespace", object.object_namespace},
      {"uid", object.uid},
      {"resourceVersion", object.resource_version},
      {"fieldPath", object.field_path}};
  for (const auto& [member, value] : optional) {
    if (!value.empty()) {
      reference[member] = value;
    }
  }
  return reference;
}

}  // namespace

Json UpdateOf(const Json& event) {
  return Json{{"count", event.at("count")},
              {"lastTimestamp", event.at("lastTimestamp")},
              {"message", event.at("message")}};
}

std::optional<CorrelatedEvent> EventCorrelator::Observe(const ObjectReference& object,
                                                        EventType type,
                                                        std::string_view reason,
                                                        std::string_view message) {
  const std::string group = Key(ObjectPart(object), TypeName(type), reason);
  CorrelatedEvent result;
  if (Aggregate(group, message)) {
    result.key = group;
    const std::string combined = fmt::format("(combined from similar events): {}", message);
    result.event = MakeEvent(object, type, reason, combined);
  } else {
    result.key = Key(group, object.field_path, message);
    result.event = MakeEvent(object, type, reason, message);
  }

  Observation& seen = observed_.FindOrAdd(result.key);
  if (seen.count > 0) {
    result.repeated = true;
    result.event["metadata"]["name"] = seen.name;
    result.event["firstTimestamp"] = seen.first_timestamp;
  } else {
    seen.name = result.event["metadata"]["name"].get<std::string>();
    seen.first_timestamp = result.event["firstTimestamp"].get<std::string>();
  }
  result.event["count"] = ++seen.count;
  if (!Allowed(object)) {
    return std::nullopt;
  }
  return result;
}

Json EventCorrelator::MakeEvent(const ObjectReference& object,
                                EventType type,
                                std::string_view reason,
                                std::string_view message) {
  const WallTime now = clock_.WallNow();
  const auto nanos =
      std::chrono::duration_cast<std::chrono::nanoseconds>(now.time_since_epoch()).count();
  last_stamp_ = std::max<int64_t>(nanos, last_stamp_ + 1);
  const std::string suffix = fmt::format(".{:x}", last_stamp_);
  const std::string stem = object.name.substr(0, kMaxNameBytes - suffix.size());
  const std::string space = object.object_namespace.empty() ? "default" : object.object_namespace;
  const std::string stamp = FormatRfc3339(now);
  return Json{{"apiVersion", "v1"},
              {"kind", "Event"},
              {"metadata", {{"name", stem + suffix}, {"namespace", space}}},
              {"involvedObject", Reference(object)},
              {"reason", std::string(reason)},
              {"message", Bounded(message, kMaxMessageBytes)},
              {"source", {{"component", component_}, {"host", host_}}},
              {"firstTimestamp", stamp},
              {"lastTimestamp", stamp},
              {"count", 1},
              {"type", TypeName(type)},
              {"reportingComponent", component_},
              {"reportingInstance", host_}};
}

bool EventCorrelator::Aggregate(const std::string& group, std::string_view message) {
  Similar& similar = similar_.FindOrAdd(group);
  const SteadyTime now = clock_.Now();
  if (now - similar.last > kSimilarInterval) {
    similar.messages.clear();
  }
  similar.messages.insert(std::string(message));
  similar.last = now;
  if (similar.messages.size() < kSimilarEvents) {
    return false;
  }
  // Keeps the set small and the group combined, whichever message comes next.
  similar.messages.erase(similar.messages.begin());
  return true;
}

bool EventCorrelator::Allowed(const ObjectReference& object) {
  Allowance& allowance = allowances_.FindOrAdd(ObjectPart(object));
  const SteadyTime now = clock_.Now();
  if (!allowance.known) {
    allowance = {.tokens = kSpamBurst, .refilled = now, .known = true};
  }
  const double passed = std::chrono::duration<double>(now - allowance.refilled).count();
  allowance.tokens = std::min(kSpamBurst, allowance.tokens + passed / kSpamRefillSeconds);
  allowance.refilled = now;
  if (allowance.tokens < 1) {
    return false;
  }
  allowance.tokens -= 1;
  return true;
}

}  // namespace farlet::kube
