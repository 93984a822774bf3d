#include "runtime/ttrpc/client_connection.h"

#include "runtime/ttrpc/envelope.h"

#include <utility>

namespace farlet::ttrpc {
namespace {

Error TimeIsOver(std::chrono::nanoseconds timeout) {
  const auto shown = std::chrono::duration_cast<std::chrono::milliseconds>(timeout);
  return MakeError(Code::kDeadlineExceeded,
                   "no answer within " + std::to_string(shown.count()) + " ms");
}

}  // namespace

void ClientConnection::Call(Request request, SteadyTime due, Callback<std::string> done) {
  std::string what = request.service + "/" + request.method;
  const std::chrono::nanoseconds timeout = request.timeout;
  const uint32_t stream = NextStream();
  auto frame = Prepare(stream, std::move(request), due);
  if (!frame) {
    done(Wrap(what, std::move(frame).error()));
    return;
  }
  Pending& pending = pending_[stream];
  pending.what = std::move(what);
  pending.done = std::move(done);
  if (timeout.count() != 0) {
    StartTimer(stream, pending, due, timeout);
  }
  Send(stream, std::move(*frame));
}

Result<std::string> ClientConnection::Prepare(uint32_t stream, Request request, SteadyTime due) {
  if (end_error_) {
    return *end_error_;
  }
  if (pending_.size() >= limits().max_open_calls) {
    return MakeError(Code::kResourceExhausted,
                     std::to_string(pending_.size()) + " calls wait for an answer already");
  }
  std::chrono::nanoseconds left{0};
  if (request.timeout.count() != 0) {
    left = due - std::chrono::steady_clock::now();
    if (left.count() <= 0) {
      return TimeIsOver(request.timeout);
    }
  }
  FARLET_ASSIGN(std::string frame,
                EncodeRequest(stream, std::move(request), left, limits().max_sent));
  if (queued_bytes() + frame.size() > limits().max_queued_bytes) {
    return MakeError(Code::kResourceExhausted, "the other side does not take its requests: " +
                                                   std::to_string(queued_bytes()) + " bytes wait");
  }
  return frame;
}

void ClientConnection::StartTimer(uint32_t stream,
                                  Pending& pending,
                                  SteadyTime due,
                                  std::chrono::nanoseconds timeout) {
  pending.timer = std::make_unique<asio::steady_timer>(context(), due);
  const std::weak_ptr<Connection> weak = weak_from_this();
  pending.timer->async_wait([this, weak, stream, timeout](const ErrorCode& error) {
    const auto self = weak.lock();
    if (error || !self) {
      return;
    }
    Unsend(stream);
    Finish(stream, TimeIsOver(timeout));
  });
}

uint32_t ClientConnection::NextStream() {
  uint32_t stream = 0;
  do {
    stream = next_stream_;
    next_stream_ += 2;  // stays odd when it overflows
    wrapped_ = wrapped_ || next_stream_ < stream;
  } while (pending_.contains(stream));
  return stream;
}

Status ClientConnection::OnFrame(Frame frame) {
  if (frame.type != kTypeResponse) {
    return {};
  }
  if (!pending_.contains(frame.stream)) {
    // Late, unless there never was such a call.
    if (frame.stream % 2 == 1 && (wrapped_ || frame.stream < next_stream_)) {
      return {};
    }
    return Internal("an answer on stream " + std::to_string(frame.stream) + ", which had no call");
  }
  if (frame.oversized) {
    Finish(frame.stream,
           MakeError(Code::kResourceExhausted,
                     "an answer of more than " + std::to_string(limits().max_received) + " bytes"));
  } else {
    Finish(frame.stream, DecodeReply(frame.payload));
  }
  return {};
}

void ClientConnection::Finish(uint32_t stream, Result<std::string> result) {
  auto node = pending_.extract(stream);
  if (node.empty()) {
    return;
  }
  Pending& pending = node.mapped();
  pending.timer.reset();
  pending.done(Annotate(std::move(result), pending.what));
}

void ClientConnection::OnRestart() {
  FailAll(Unavailable("the other side went away"));
}

void ClientConnection::OnEnd(const Status& end) {
  end_error_ =
      Unavailable("the connection has ended" + (end ? std::string() : ": " + end.error().message));
  FailAll(*end_error_);
  if (const auto hook = std::exchange(end_hook_, nullptr)) {
    hook(*end_error_);
  }
}

void ClientConnection::FailAll(const Error& error) {
  std::unordered_map<uint32_t, Pending> pending;
  pending.swap(pending_);
  for (auto& [stream, call] : pending) {
    call.done(Wrap(call.what, error));
  }
}

void ClientConnection::SetEndHook(std::function<void(const Error&)> hook) {
  if (!end_error_) {
    end_hook_ = std::move(hook);
  } else if (hook) {
    hook(*end_error_);
  }
}

}  // namespace farlet::ttrpc
