#include "runtime/shim/events.h"

#include "proto/containerd/types/wellknown.pb.h"
#include "runtime/base/log.h"
#include "runtime/shim/timestamp.h"
#include "runtime/ttrpc/unix_socket.h"

#include <algorithm>
#include <utility>

namespace farlet::shim {
namespace {

constexpr char kService[] = "containerd.services.events.ttrpc.v1.Events";
constexpr std::string_view kUnixScheme = "unix://";

// What containerd refuses for good would only hold up the others.
bool WorthRetrying(const Error& error) {
  return error.code == Code::kUnavailable || error.code == Code::kDeadlineExceeded ||
         error.code == Code::kNotFound || error.code == Code::kResourceExhausted;
}

}  // namespace

EventPublisher::EventPublisher(boost::asio::io_context& io, const Clock& clock, Options options)
    : io_(io),
      clock_(clock),
      options_(std::move(options)),
      retry_(options_.first_retry),
      retry_timer_(io),
      flush_timer_(io) {}

void EventPublisher::Enqueue(std::string topic, std::string type, std::string payload) {
  if (options_.address.empty()) {
    return;
  }
  if (queue_.size() >= options_.max_queued) {
    // The first may be under way: its answer must not count for another.
    log::Warning("too many events wait for containerd; one is dropped",
                 {{"topic", queue_[1].envelope().topic()}});
    queue_.erase(queue_.begin() + 1);
  }
  auto& envelope = *queue_.emplace_back().mutable_envelope();
  *envelope.mutable_timestamp() = ToTimestamp(clock_.WallNow());
  envelope.set_namespace_(options_.containerd_namespace);
  envelope.set_topic(std::move(topic));
  envelope.mutable_event()->set_type_url(std::move(type));
  envelope.mutable_event()->set_value(std::move(payload));
  if (!sending_) {
    SendNext();
  }
}

void EventPublisher::Flush(std::chrono::milliseconds patience, std::function<void()> done) {
  flushed_ = std::move(done);
  if (queue_.empty()) {
    TellFlushed();
    return;
  }
  flush_timer_.expires_after(patience);
  flush_timer_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
    if (!error) {
      log::Warning("containerd was not told all events", {{"left", self->queue_.size()}});
      self->TellFlushed();
    }
  });
}

void EventPublisher::SendNext() {
  if (queue_.empty()) {
    sending_ = false;
    flush_timer_.cancel();
    TellFlushed();
    return;
  }
  sending_ = true;
  if (!client_) {
    std::string path = options_.address;
    if (path.starts_with(kUnixScheme)) {
      path.erase(0, kUnixScheme.size());
    }
    auto connection = ttrpc::ConnectUnix(path);
    if (!connection) {
      RetryLater(connection.error());
      return;
    }
    client_ = ttrpc::Client::Over(io_, std::move(*connection));
  }
  client_->Call<containerd::services::events::ttrpc::v1::ForwardRequest, wkt::Empty>(
      kService, "Forward", queue_.front(), options_.call_timeout,
      [self = shared_from_this()](const Result<wkt::Empty>& answer) {
        self->Sent(answer ? Status() : Status(answer.error()));
      });
}

void EventPublisher::Sent(const Status& status) {
  if (!status && WorthRetrying(status.error())) {
    client_.reset();
    RetryLater(status.error());
    return;
  }
  if (!status) {
    log::Warning("containerd refuses an event",
                 {{"topic", queue_.front().envelope().topic()}, {"error", status.error()}});
  }
  retry_ = options_.first_retry;
  queue_.pop_front();
  SendNext();
}

void EventPublisher::RetryLater(const Error& error) {
  log::Debug("an event will be tried again", {{"error", error}});
  retry_timer_.expires_after(retry_);
  retry_ = std::min(retry_ * 2, options_.max_retry);
  retry_timer_.async_wait([self = shared_from_this()](const boost::system::error_code& aborted) {
    if (!aborted) {
      self->SendNext();
    }
  });
}

void EventPublisher::TellFlushed() {
  if (const auto flushed = std::exchange(flushed_, nullptr)) {
    flushed();
  }
}

}  // namespace farlet::shim
