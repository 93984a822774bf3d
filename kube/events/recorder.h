#pragma once

#include "kube/client/client.h"
#include "runtime/base/timer.h"

#include <memory>
#include <string>
#include <string_view>

namespace farlet::kube {

// The object that an event is about (core/v1 ObjectReference).
struct ObjectReference {
  std::string kind;         // "Pod", "Node"
  std::string api_version;  // "v1"
  std::string object_namespace;
  std::string name;
  std::string uid;
  std::string resource_version;
  std::string field_path;  // "spec.containers{web}"
};

enum class EventType { kNormal, kWarning };

// Records core/v1 Events the way client-go does: equal events are folded into one with a count
// (PATCH), more than ten similar ones in ten minutes are aggregated, and each object may send 25 in
// a burst and one more every five minutes. Never blocks: events wait in a bounded queue of which
// the oldest is dropped (and counted in the log) when the API server cannot be reached. Thread
// safe.
class EventRecorder {
 public:
  virtual ~EventRecorder() = default;
  virtual void Record(const ObjectReference& object,
                      EventType type,
                      std::string_view reason,
                      std::string_view message) = 0;
};

struct EventRecorderOptions {
  std::string component;  // source.component, reportingController
  std::string host;       // source.host: the node's name
  double qps = 50;        // KubeletConfiguration.eventRecordQPS
  int burst = 100;        // eventBurst
};

std::unique_ptr<EventRecorder> MakeEventRecorder(Client& client,
                                                 const Clock& clock,
                                                 TimerService& timers,
                                                 EventRecorderOptions options);

}  // namespace farlet::kube
