#include "kube/events/recorder.h"

#include "kube/events/correlator.h"
#include "runtime/base/backoff.h"
#include "runtime/base/gate.h"
#include "runtime/base/log.h"

#include <algorithm>
#include <deque>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>

namespace farlet::kube {
namespace {

constexpr int kMaxInFlight = 2;
constexpr int kMaxAttempts = 12;  // client-go's maxTriesPerEvent
constexpr seconds kDropLogInterval(60);
constexpr BackoffPolicy kRetry{.initial = milliseconds(1000), .max = milliseconds(30'000)};

// An event that waits to be written or is being written.
//
//   (Record) ──► queued ──rested, token, free slot──► in flight ──written, refused──► gone
//                  ▲  └─ Record of the same: one write    │
//                  └── failed for now / recorded again ◄──┘
struct Pending {
  Json event;
  bool update = false;  // the object exists: PATCH
  bool queued = false;  // its key is in the queue, or will be again after the flight
  bool flying = false;
  bool normal = false;  // not a warning
  int attempts = 0;
  SteadyTime queued_at;  // since when it has been waiting to be written
};

// Whether trying the same event again is of use; client-go gives up on whatever the server says.
bool IsWorthRetrying(const Error& error) {
  return error.http_status == 0 || error.http_status == 429 || error.http_status >= 500 ||
         error.http_status == 401;
}

}  // namespace

class EventSender : public std::enable_shared_from_this<EventSender> {
 public:
  EventSender(Client& client,
              const Clock& clock,
              TimerService& timers,
              EventRecorderOptions options)
      : client_(client),
        clock_(clock),
        timers_(timers),
        options_(std::move(options)),
        correlator_(clock, options_.component, options_.host),
        tokens_(options_.burst),
        refilled_(clock.Now()) {}

  Gate& gate() { return gate_; }

  void Record(const ObjectReference& object,
              EventType type,
              std::string_view reason,
              std::string_view message) {
    {
      const std::lock_guard lock(mutex_);
      std::optional<CorrelatedEvent> event = correlator_.Observe(object, type, reason, message);
      if (!event) {
        return;
      }
      Enqueue(*std::move(event));
    }
    Pump();
  }

  void SetResting(bool resting) {
    {
      const std::lock_guard lock(mutex_);
      if (std::exchange(resting_, resting) == resting || resting) {
        return;
      }
      calm_at_ = clock_.Now() + options_.calm;
      if (rest_timer_) {
        timers_.Cancel(*std::exchange(rest_timer_, std::nullopt));
      }
    }
    Pump();
  }

  void Close() {
    gate_.Close();
    const std::lock_guard lock(mutex_);
    for (const Timer& timer : {timer_, rest_timer_}) {
      if (timer) {
        timers_.Cancel(*timer);
      }
    }
  }

 private:
  // All of these need mutex_.
  void Enqueue(CorrelatedEvent event) {
    Pending& pending = pending_[event.key];
    // What has not been written yet is still to be created, however often it occurred.
    const bool unwritten = pending.queued && !pending.flying && !pending.update;
    pending.update = event.repeated && !unwritten;
    pending.event = std::move(event.event);
    if (pending.queued) {
      return;
    }
    pending.queued = true;
    pending.normal = pending.event.value("type", "") == "Normal";
    pending.queued_at = clock_.Now();
    if (!pending.flying) {
      QueueOf(pending).push_back(std::move(event.key));
      DropOldest();
    }
  }

  std::deque<std::string>& QueueOf(const Pending& pending) {
    return pending.normal ? normals_ : warnings_;
  }

  // The next that may be written now; null when there is none, and then Pump() is called when the
  // oldest has rested long enough.
  std::deque<std::string>* NextQueue() {
    if (!warnings_.empty() || normals_.empty()) {
      return warnings_.empty() ? nullptr : &warnings_;
    }
    const SteadyTime rested = pending_[normals_.front()].queued_at + options_.longest_rest;
    const auto left = (resting_ ? rested : std::min(rested, calm_at_)) - clock_.Now();
    if (left > SteadyTime::duration(0)) {
      PumpAfter(std::chrono::ceil<milliseconds>(left), rest_timer_);
      return nullptr;
    }
    return &normals_;
  }

  void DropOldest() {
    if (warnings_.size() + normals_.size() <= options_.queue_size) {
      return;
    }
    std::deque<std::string>& queue = normals_.empty() ? warnings_ : normals_;
    pending_.erase(queue.front());
    queue.pop_front();
    ++dropped_;
    const SteadyTime now = clock_.Now();
    if (dropped_ == 1 || now - drop_logged_ >= kDropLogInterval) {
      drop_logged_ = now;
      log::Warning("events are dropped, as the API server does not take them",
                   {{"dropped", dropped_}});
    }
  }

  // Takes a token, or sees to it that Pump() is called when there is one.
  bool MayWrite() {
    if (timer_) {
      return false;
    }
    if (options_.qps <= 0) {
      return true;
    }
    const SteadyTime now = clock_.Now();
    const double passed = std::chrono::duration<double>(now - refilled_).count();
    tokens_ = std::min<double>(options_.burst, tokens_ + passed * options_.qps);
    refilled_ = now;
    if (tokens_ >= 1) {
      tokens_ -= 1;
      return true;
    }
    PumpAfter(std::chrono::duration_cast<milliseconds>(
                  std::chrono::duration<double>((1 - tokens_) / options_.qps)) +
                  milliseconds(1),
              timer_);
    return false;
  }

  using Timer = std::optional<TimerService::Id>;

  // `timer` is a member.
  void PumpAfter(milliseconds delay, Timer& timer) {
    if (timer) {
      return;
    }
    timer = timers_.After(delay, [weak = weak_from_this(), &timer] {
      EnterStep(weak, [&timer](EventSender& self) {
        {
          const std::lock_guard lock(self.mutex_);
          timer.reset();
        }
        self.PumpInside();
      });
    });
  }

  void Pump() {
    EnterStep(weak_from_this(), [](EventSender& self) { self.PumpInside(); });
  }

  void PumpInside() {
    while (true) {
      std::string key;
      Json event;
      bool update = false;
      {
        const std::lock_guard lock(mutex_);
        std::deque<std::string>* queue = in_flight_ < kMaxInFlight ? NextQueue() : nullptr;
        if (queue == nullptr || !MayWrite()) {
          return;
        }
        ++in_flight_;
        key = std::move(queue->front());
        queue->pop_front();
        Pending& pending = pending_[key];
        pending.queued = false;
        pending.flying = true;
        event = pending.event;
        update = pending.update;
      }
      if (update) {
        Update(key, std::move(event));
      } else {
        Create(key, event);
      }
    }
  }

  static std::string Path(const Json& event, bool with_name) {
    const Json& meta = event.at("metadata");
    return ResourcePath("v1", "events", meta.at("namespace").get_ref<const std::string&>(),
                        with_name ? meta.at("name").get_ref<const std::string&>() : std::string());
  }

  void Create(const std::string& key, const Json& event) {
    const CallOptions call{.retry = false};
    client_.Create(Path(event, false), event, call,
                   [weak = weak_from_this(), key](Result<Json> answer) {
                     EnterStep(weak, [&](EventSender& self) { self.Ended(key, answer); });
                   });
  }

  void Update(const std::string& key, Json event) {
    const CallOptions call{.retry = false};
    const std::string path = Path(event, true);
    const Json patch = UpdateOf(event);
    client_.Patch(path, PatchType::kStrategicMerge, patch, call,
                  [weak = weak_from_this(), key, event = std::move(event)](Result<Json> answer) {
                    EnterStep(weak, [&](EventSender& self) {
                      if (!answer && answer.error().code == Code::kNotFound) {
                        // Events expire after an hour; this one begins again with its count.
                        self.Create(key, event);
                        return;
                      }
                      self.Ended(key, answer);
                    });
                  });
  }

  void Ended(const std::string& key, const Result<Json>& answer) {
    {
      const std::lock_guard lock(mutex_);
      --in_flight_;
      Pending& pending = pending_[key];
      pending.flying = false;
      if (answer) {
        Written(key, pending);
      } else {
        Failed(key, pending, answer.error());
      }
    }
    PumpInside();
  }

  // Both need mutex_ and may erase `pending`.
  void Written(const std::string& key, Pending& pending) {
    backoff_.Reset();
    if (dropped_ > 0) {
      log::Info("the API server takes events again", {{"dropped", dropped_}});
      dropped_ = 0;
    }
    pending.attempts = 0;
    if (pending.queued) {
      QueueOf(pending).push_back(key);
    } else {
      pending_.erase(key);
    }
  }

  void Failed(const std::string& key, Pending& pending, const Error& error) {
    const bool again = IsWorthRetrying(error) && error.code != Code::kCancelled &&
                       ++pending.attempts < kMaxAttempts;
    if (!again && !pending.queued) {
      if (error.code != Code::kAlreadyExists) {
        log::Info("an event was not taken",
                  {{"object", pending.event["involvedObject"].value("name", "")},
                   {"reason", pending.event.value("reason", "")},
                   {"error", error}});
      }
      pending_.erase(key);
      return;
    }
    pending.queued = true;
    if (again) {
      QueueOf(pending).push_front(key);
      PumpAfter(std::max(backoff_.Next(), error.retry_after.value_or(milliseconds(0))), timer_);
    } else {
      QueueOf(pending).push_back(key);
    }
  }

  Client& client_;
  const Clock& clock_;
  TimerService& timers_;
  const EventRecorderOptions options_;
  Gate gate_;
  std::mutex mutex_;  // guards all below
  EventCorrelator correlator_;
  double tokens_;
  SteadyTime refilled_;
  Backoff backoff_{kRetry};
  std::unordered_map<std::string, Pending> pending_;
  std::deque<std::string> warnings_;  // keys, oldest first
  std::deque<std::string> normals_;
  bool resting_ = false;
  SteadyTime calm_at_;  // a while after resting_ has ended
  int in_flight_ = 0;
  Timer timer_;       // of the back-off or of the next token: nothing is written before it
  Timer rest_timer_;  // of the end of the oldest Normal event's rest
  int64_t dropped_ = 0;
  SteadyTime drop_logged_;
};

namespace {

class EventRecorderImpl final : public EventRecorder {
 public:
  explicit EventRecorderImpl(std::shared_ptr<EventSender> sender) : sender_(std::move(sender)) {}

  ~EventRecorderImpl() override { sender_->Close(); }

  void Record(const ObjectReference& object,
              EventType type,
              std::string_view reason,
              std::string_view message) override {
    sender_->Record(object, type, reason, message);
  }

  void SetResting(bool resting) override { sender_->SetResting(resting); }

 private:
  // Shared with the callbacks of requests that are under way.
  const std::shared_ptr<EventSender> sender_;
};

}  // namespace

std::unique_ptr<EventRecorder> MakeEventRecorder(Client& client,
                                                 const Clock& clock,
                                                 TimerService& timers,
                                                 EventRecorderOptions options) {
  return std::make_unique<EventRecorderImpl>(
      std::make_shared<EventSender>(client, clock, timers, std::move(options)));
}

}  // namespace farlet::kube
