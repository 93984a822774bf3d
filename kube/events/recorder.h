#pragma once

#include "kube/client/client.h"
#include "runtime/base/timer.h"

#include <memory>
#include <string>
#include <string_view>

namespace farlet::kube {

// The object that an event is about (core/v1 ObjectReference).
struct ObjectReference {
  std::string kind;              // "Pod", "Node"
  std::string api_version;       // "v1"
  std::string object_namespace;  // empty for a Node; its events go to namespace "default"
  std::string name;
  std::string uid;
  std::string resource_version;
  std::string field_path;  // "spec.containers{web}"
};

enum class EventType { kNormal, kWarning };

// Records core/v1 Events the way client-go does: equal events are folded into one with a count
// (PATCH), ten and more similar ones within ten minutes are combined, and each object may send 25
// in a burst and one more every five minutes. Messages are cut at 1024 bytes.
//
// Never blocks, and never crowds out other requests: at most two events are being written at any
// time, and occurrences of one event that wait are written as one. While the API server cannot be
// reached they wait in a bounded queue, of which the oldest is dropped (and counted in the log).
// What the server refuses (403 in a namespace that is being terminated) is dropped. Warnings go
// first. Thread safe.
class EventRecorder {
 public:
  // Drops what has not been written.
  virtual ~EventRecorder() = default;
  virtual void Record(const ObjectReference& object,
                      EventType type,
                      std::string_view reason,
                      std::string_view message) = 0;
  // While it is set and for `calm` after, Normal events rest, each `longest_rest` at most: the
  // server has something more urgent to do. Their times are those at which they were recorded.
  virtual void SetResting(bool resting) = 0;
};

struct EventRecorderOptions {
  std::string component;     // source.component, reportingComponent
  std::string host;          // source.host, reportingInstance: the node's name
  double qps = 50;           // KubeletConfiguration.eventRecordQPS; 0: no limit
  int burst = 100;           // eventBurst
  size_t queue_size = 1000;  // different events that wait
  milliseconds longest_rest{20'000};
  milliseconds calm{1000};
};

// `client` and `timers` outlive it.
std::unique_ptr<EventRecorder> MakeEventRecorder(Client& client,
                                                 const Clock& clock,
                                                 TimerService& timers,
                                                 EventRecorderOptions options);

}  // namespace farlet::kube
