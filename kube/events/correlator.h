#pragma once

#include "kube/events/lru_map.h"
#include "kube/events/recorder.h"

#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>

namespace farlet::kube {

// What is to be written for one occurrence.
struct CorrelatedEvent {
  // Occurrences with the same key are the same object in the API.
  std::string key;
  // The whole v1 Event, with the count so far.
  Json event;
  // True when the object has been written before, so that UpdateOf(event) suffices.
  bool repeated = false;
};

// The patch that brings a stored event to `event`: count, lastTimestamp, message.
Json UpdateOf(const Json& event);

// client-go's EventCorrelator (tools/record/events_cache.go), with its numbers, in its order:
// aggregation of similar events, counting of equal ones, spam filter. Each of its three memories
// keeps the 4096 most recently used keys. Not thread safe.
class EventCorrelator {
 public:
  EventCorrelator(const Clock& clock, std::string component, std::string host)
      : clock_(clock), component_(std::move(component)), host_(std::move(host)) {}

  // Null when the object has used up its allowance.
  std::optional<CorrelatedEvent> Observe(const ObjectReference& object,
                                         EventType type,
                                         std::string_view reason,
                                         std::string_view message);

 private:
  struct Similar {
    std::unordered_set<std::string> messages;
    SteadyTime last;
  };

  struct Observation {
    int64_t count = 0;
    std::string name;
    std::string first_timestamp;
  };

  struct Allowance {
    double tokens = 0;
    SteadyTime refilled;
    bool known = false;
  };

  static constexpr size_t kMemory = 4096;

  Json MakeEvent(const ObjectReference& object,
                 EventType type,
                 std::string_view reason,
                 std::string_view message);
  // Whether this is to be folded into the combined event of its group.
  bool Aggregate(const std::string& group, std::string_view message);
  bool Allowed(const ObjectReference& object);

  const Clock& clock_;
  const std::string component_;
  const std::string host_;
  int64_t last_stamp_ = 0;  // of names: they never repeat
  LruMap<Similar> similar_{kMemory};
  LruMap<Observation> observed_{kMemory};
  LruMap<Allowance> allowances_{kMemory};
};

}  // namespace farlet::kube
