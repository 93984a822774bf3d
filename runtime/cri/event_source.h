#pragma once

#include "runtime/base/clock.h"
#include "runtime/base/result.h"
#include "runtime/base/timer.h"
#include "runtime/cri/types.h"

#include <functional>
#include <memory>
#include <string>
#include <variant>

namespace farlet::cri {

// Something happened to a container or a sandbox. A hint to look: it may come twice, late, or
// before CRI itself shows the change.
struct RuntimeEvent {
  // kOutOfMemory: the kernel killed something in it; the reason of a container that has ended may
  // turn into "OOMKilled" because of it.
  enum class Kind { kStarted, kStopped, kDeleted, kOutOfMemory };
  Kind kind = Kind::kStopped;
  // A container's or a sandbox's id: not every source can tell which.
  std::string id;
};

// The stream was (re)opened after a gap: events may have been missed, list everything.
struct EventsResumed {};

// The stream broke and is being reopened; until EventsResumed, list at short intervals.
struct EventsLost {
  std::string reason;
};

using EventNotice = std::variant<RuntimeEvent, EventsResumed, EventsLost>;

// Follows the runtime's events until destroyed: CRI GetContainerEvents where the runtime has it
// (containerd 2.x), else containerd's own event service on the same socket (1.6), reopened with
// capped back-off for ever. `handler` is called from one thread at a time and must not block.
class EventSource {
 public:
  using Handler = std::function<void(const EventNotice&)>;
  // No handler runs once it returns. Not from the handler.
  virtual ~EventSource() = default;
};

// Starts to follow the runtime at `endpoint` (see ConnectGrpcClient); the references must outlive
// the result. Error: kInvalidArgument naming the endpoint; everything else is retried for ever and
// told by EventsLost.
Result<std::unique_ptr<EventSource>> FollowEvents(const std::string& endpoint,
                                                  const Clock& clock,
                                                  TimerService& timers,
                                                  EventSource::Handler handler);

}  // namespace farlet::cri
