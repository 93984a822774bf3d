#include "runtime/base/backoff.h"
#include "runtime/base/log.h"
#include "runtime/cri/channel.h"
#include "runtime/cri/event_source.h"
#include "runtime/cri/event_stream.h"

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <utility>

namespace farlet::cri {
namespace {

// Between the answer of the probe and "resumed": the runtime takes up a stream and a call in
// threads of their own, so the call may be answered before the stream is subscribed.
constexpr milliseconds kSettle{50};
constexpr BackoffPolicy kReopen{.initial = milliseconds(100), .max = milliseconds(2000)};
// A runtime without any event stream may get one by an upgrade.
constexpr seconds kUnsupportedRetry{60};
constexpr seconds kMalformedLogInterval{60};

//   Open ──► CRI stream ──Unimplemented──► containerd stream
//    ▲          │ │ end                       │ │ end
//    │          │ └────────► EventsLost ◄─────┼─┘
//    └─ back-off ────────────────┘            │
//               └─ probed or first event ─────┴──► EventsResumed
class EventFollower : public std::enable_shared_from_this<EventFollower> {
 public:
  EventFollower(std::string endpoint,
                std::shared_ptr<grpc::Channel> channel,
                const Clock& clock,
                TimerService& timers,
                EventSource::Handler handler)
      : clock_(clock),
        timers_(timers),
        handler_(std::move(handler)),
        channel_(std::move(channel)),
        scope_{.endpoint = std::move(endpoint)} {}

  void Open() { OpenStream(/*containerd=*/false); }

  void Stop();

 private:
  void OpenStream(bool containerd);
  void OnEvent(uint64_t epoch, Result<std::optional<RuntimeEvent>> event);
  void OnEnd(uint64_t epoch, bool containerd, const grpc::Status& status);
  // After the connection was seen alive.
  void OnProbed(uint64_t epoch);
  void Resumed(uint64_t epoch);
  void ReopenAfter(std::chrono::nanoseconds delay);
  void LogMalformed(const Error& error);
  // Passes notices on in order, one at a time, without a lock held.
  void Notify(EventNotice notice);

  const Clock& clock_;
  TimerService& timers_;
  const EventSource::Handler handler_;
  const std::shared_ptr<grpc::Channel> channel_;
  CallScope scope_;

  std::mutex mutex_;  // guards all below
  std::condition_variable quiet_;
  bool stopping_ = false;
  uint64_t epoch_ = 0;  // of the newest stream
  bool resumed_ = false;
  bool lost_told_ = false;
  Backoff backoff_{kReopen};
  std::deque<EventNotice> notices_;
  bool notifying_ = false;
  std::optional<SteadyTime> malformed_logged_;
  int malformed_ = 0;
};

void EventFollower::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    notices_.clear();
  }
  scope_.gate.Close();
  std::unique_lock lock(mutex_);
  quiet_.wait(lock, [this] { return !notifying_; });
}

void EventFollower::OpenStream(bool containerd) {
  uint64_t epoch = 0;
  {
    const std::lock_guard lock(mutex_);
    epoch = ++epoch_;
    resumed_ = false;
  }
  // The gate keeps this alive for the handlers: Stop() waits for them.
  StreamHandler handler{
      .on_event = [this, epoch](auto event) { OnEvent(epoch, std::move(event)); },
      .on_end = [this, epoch,
                 containerd](const grpc::Status& status) { OnEnd(epoch, containerd, status); }};
  const bool opened = containerd ? OpenContainerdEvents(scope_, channel_, std::move(handler))
                                 : OpenCriEvents(scope_, channel_, std::move(handler));
  if (!opened) {
    return;
  }
  ProbeConnection(scope_, channel_, [this, epoch](const Result<void>& answer) {
    // Without an answer the connection is gone, which ends the stream too.
    if (answer) {
      OnProbed(epoch);
    }
  });
}

void EventFollower::OnProbed(uint64_t epoch) {
  timers_.After(kSettle, [weak = weak_from_this(), epoch] {
    if (const auto self = weak.lock()) {
      self->Resumed(epoch);
    }
  });
}

void EventFollower::Resumed(uint64_t epoch) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_ || epoch != epoch_ || resumed_) {
      return;
    }
    resumed_ = true;
    lost_told_ = false;
    backoff_.Reset();
  }
  log::Info("following runtime events", {{"endpoint", scope_.endpoint}});
  Notify(EventsResumed{});
}

void EventFollower::OnEvent(uint64_t epoch, Result<std::optional<RuntimeEvent>> event) {
  if (!event) {
    LogMalformed(event.error());
    return;
  }
  Resumed(epoch);
  if (*event) {
    Notify(std::move(**event));
  }
}

void EventFollower::OnEnd(uint64_t epoch, bool containerd, const grpc::Status& status) {
  const bool unsupported = status.error_code() == grpc::StatusCode::UNIMPLEMENTED;
  if (unsupported && !containerd) {
    OpenStream(/*containerd=*/true);
    return;
  }
  const std::string reason = status.ok()
                                 ? "the runtime ended the event stream"
                                 : FromGrpcStatus(status, "events", scope_.endpoint).message;
  std::chrono::nanoseconds delay{0};
  bool tell = false;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_ || epoch != epoch_) {
      return;
    }
    ++epoch_;
    resumed_ = false;
    tell = !std::exchange(lost_told_, true);
    delay = unsupported ? std::chrono::nanoseconds(kUnsupportedRetry) : backoff_.Next();
  }
  if (tell) {
    log::Warning("lost runtime events", {{"endpoint", scope_.endpoint}, {"reason", reason}});
    Notify(EventsLost{.reason = reason});
  }
  ReopenAfter(delay);
}

void EventFollower::ReopenAfter(std::chrono::nanoseconds delay) {
  timers_.After(delay, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) {
      self->Open();
    }
  });
}

void EventFollower::LogMalformed(const Error& error) {
  int count = 0;
  {
    const std::lock_guard lock(mutex_);
    ++malformed_;
    const SteadyTime now = clock_.Now();
    if (malformed_logged_ && now - *malformed_logged_ < kMalformedLogInterval) {
      return;
    }
    malformed_logged_ = now;
    count = std::exchange(malformed_, 0);
  }
  log::Warning("ignored malformed runtime events", {{"count", count}, {"last", error}});
}

void EventFollower::Notify(EventNotice notice) {
  std::unique_lock lock(mutex_);
  if (stopping_) {
    return;
  }
  notices_.push_back(std::move(notice));
  if (notifying_) {
    return;
  }
  notifying_ = true;
  while (!notices_.empty()) {
    const EventNotice next = std::move(notices_.front());
    notices_.pop_front();
    lock.unlock();
    handler_(next);
    lock.lock();
  }
  notifying_ = false;
  quiet_.notify_all();
}

class FollowedEvents final : public EventSource {
 public:
  explicit FollowedEvents(std::shared_ptr<EventFollower> follower)
      : follower_(std::move(follower)) {}

  FollowedEvents(const FollowedEvents&) = delete;
  FollowedEvents& operator=(const FollowedEvents&) = delete;

  ~FollowedEvents() override { follower_->Stop(); }

 private:
  const std::shared_ptr<EventFollower> follower_;
};

}  // namespace

Result<std::unique_ptr<EventSource>> FollowEvents(const std::string& endpoint,
                                                  const Clock& clock,
                                                  TimerService& timers,
                                                  EventSource::Handler handler) {
  FARLET_ASSIGN(auto channel, MakeChannel(endpoint));
  const auto follower = std::make_shared<EventFollower>(endpoint, std::move(channel), clock, timers,
                                                        std::move(handler));
  follower->Open();
  return std::make_unique<FollowedEvents>(follower);
}

}  // namespace farlet::cri
