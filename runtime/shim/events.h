#pragma once

#include "proto/containerd/events/task/forward.pb.h"
#include "runtime/base/clock.h"
#include "runtime/base/result.h"
#include "runtime/ttrpc/client.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>

namespace farlet::shim {

// Tells containerd what happens to tasks, in order: one event is under way at a time and the next
// waits for its answer. While containerd is away (a restart) events wait and are tried again; the
// queue is bounded and drops its oldest. I/O thread only.
class EventPublisher final : public std::enable_shared_from_this<EventPublisher> {
 public:
  struct Options {
    std::string address;  // $TTRPC_ADDRESS; empty: events are dropped
    std::string containerd_namespace;
    size_t max_queued = 1024;
    std::chrono::milliseconds call_timeout{5000};
    std::chrono::milliseconds first_retry{50};
    std::chrono::milliseconds max_retry{2000};
  };

  EventPublisher(boost::asio::io_context& io, const Clock& clock, Options options);

  // `topic` as "/tasks/exit"; `type` is the message's bare protobuf name.
  template <class Message>
  void Publish(std::string topic, std::string type, const Message& message) {
    Enqueue(std::move(topic), std::move(type), message.SerializeAsString());
  }

  // Calls `done` when the queue is empty, or after `patience`.
  void Flush(std::chrono::milliseconds patience, std::function<void()> done);

 private:
  void Enqueue(std::string topic, std::string type, std::string payload);
  void SendNext();
  void Sent(const Status& status);
  void RetryLater(const Error& error);
  void TellFlushed();

  boost::asio::io_context& io_;
  const Clock& clock_;
  const Options options_;
  std::deque<containerd::services::events::ttrpc::v1::ForwardRequest> queue_;
  bool sending_ = false;  // the first of queue_ is under way, or waits for its next try
  std::chrono::milliseconds retry_;
  std::shared_ptr<ttrpc::Client> client_;
  boost::asio::steady_timer retry_timer_;
  boost::asio::steady_timer flush_timer_;
  std::function<void()> flushed_;
};

}  // namespace farlet::shim
