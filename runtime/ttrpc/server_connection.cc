#include "runtime/ttrpc/server_connection.h"

#include "runtime/ttrpc/envelope.h"

#include <boost/asio/post.hpp>

#include <utility>

namespace farlet::ttrpc {
namespace {

// Longer ones are as good as none, and the clock cannot count them.
constexpr std::chrono::hours kLongestTimeout{24 * 365};

Result<const Handler*> FindHandler(const Methods& methods, const Request& request) {
  const auto service = methods.find(request.service);
  if (service == methods.end()) {
    return MakeError(Code::kUnimplemented, "no service " + CleanMessage(request.service));
  }
  const auto method = service->second.find(request.method);
  if (method == service->second.end()) {
    return MakeError(Code::kUnimplemented, "no method " + CleanMessage(request.method) +
                                               " in service " + request.service);
  }
  return &method->second;
}

}  // namespace

// What is behind a Reply: one answer, also when it is forgotten. Any thread.
class ServerConnection::ReplyOnce {
 public:
  struct Call {
    std::weak_ptr<ServerConnection> connection;
    std::shared_ptr<std::atomic<size_t>> posted_bytes;
    uint32_t stream = 0;
    uint64_t serial = 0;
  };

  ReplyOnce(asio::io_context& context, Call call) : context_(context), call_(std::move(call)) {}

  ReplyOnce(const ReplyOnce&) = delete;
  ReplyOnce& operator=(const ReplyOnce&) = delete;

  ~ReplyOnce() { Send(Internal("the call was dropped without an answer")); }

  void Send(Result<std::string> result) {
    if (done_.exchange(true) || call_.connection.expired()) {
      return;
    }
    const size_t bytes = result ? result->size() : 0;
    *call_.posted_bytes += bytes;
    asio::post(context_, [call = call_, bytes, result = std::move(result)]() mutable {
      *call.posted_bytes -= bytes;
      if (const auto self = call.connection.lock()) {
        self->Close(call.stream, call.serial, std::move(result));
      }
    });
  }

 private:
  asio::io_context& context_;
  const Call call_;
  std::atomic<bool> done_ = false;
};

ServerConnection::ServerConnection(asio::io_context& context,
                                   UniqueFd fd,
                                   const Limits& limits,
                                   std::shared_ptr<const Methods> methods,
                                   Ended ended)
    : Connection(context, std::move(fd), limits),
      methods_(std::move(methods)),
      ended_(std::move(ended)) {}

Status ServerConnection::OnFrame(Frame frame) {
  if (frame.type != kTypeRequest) {
    return {};
  }
  if (calls_.contains(frame.stream)) {
    return InvalidArgument("a request on stream " + std::to_string(frame.stream) +
                           ", which has an open call");
  }
  if (Status admitted = Admit(frame); !admitted) {
    Answer(frame.stream, std::move(admitted).error());
    return {};
  }
  const size_t bytes = frame.payload.size();
  auto request = DecodeRequest(frame.payload);
  frame.payload = {};
  if (!request) {
    Answer(frame.stream, std::move(request).error());
    return {};
  }
  const auto handler = FindHandler(*methods_, *request);
  if (!handler) {
    Answer(frame.stream, handler.error());
    return {};
  }
  Open(frame.stream, std::move(*request), **handler, bytes);
  return {};
}

Status ServerConnection::Admit(const Frame& frame) const {
  if (frame.stream % 2 == 0) {
    return InvalidArgument("a caller's streams have odd numbers");
  }
  if ((frame.flags & kFlagRemoteOpen) != 0) {
    return MakeError(Code::kUnimplemented, "no streaming here");
  }
  if (frame.oversized) {
    return MakeError(Code::kResourceExhausted,
                     "a request of more than " + std::to_string(limits().max_received) + " bytes");
  }
  if (calls_.size() >= limits().max_open_calls ||
      frame.payload.size() > limits().max_open_bytes - open_bytes_) {
    return MakeError(Code::kResourceExhausted,
                     "too many open calls: " + std::to_string(calls_.size()) + " of " +
                         std::to_string(open_bytes_) + " bytes");
  }
  return {};
}

void ServerConnection::Open(uint32_t stream,
                            Request request,
                            const Handler& handler,
                            size_t bytes) {
  OpenCall& call = calls_[stream];
  call.serial = next_serial_++;
  call.bytes = bytes;
  open_bytes_ += bytes;
  request.cancellation = call.cancellation.token();
  if (request.timeout.count() != 0 && request.timeout < kLongestTimeout) {
    StartTimer(stream, call, request.timeout);
  }
  ReplyOnce::Call reply{
      .connection = std::static_pointer_cast<ServerConnection>(shared_from_this()),
      .posted_bytes = posted_bytes_,
      .stream = stream,
      .serial = call.serial};
  const auto once = std::make_shared<ReplyOnce>(context(), std::move(reply));
  handler(std::move(request),
          [once](Result<std::string> result) { once->Send(std::move(result)); });
}

void ServerConnection::StartTimer(uint32_t stream,
                                  OpenCall& call,
                                  std::chrono::nanoseconds timeout) {
  call.timer = std::make_unique<asio::steady_timer>(context(), timeout);
  const std::weak_ptr<Connection> weak = weak_from_this();
  call.timer->async_wait([this, weak, stream, serial = call.serial](const ErrorCode& error) {
    const auto self = weak.lock();
    if (error || !self) {
      return;
    }
    const auto found = calls_.find(stream);
    if (found == calls_.end() || found->second.serial != serial || found->second.answered) {
      return;
    }
    found->second.answered = true;
    CancellationSource cancellation = found->second.cancellation;
    Answer(stream, MakeError(Code::kDeadlineExceeded, "not done within the caller's time"));
    cancellation.Cancel();
  });
}

void ServerConnection::Close(uint32_t stream, uint64_t serial, Result<std::string> result) {
  const auto found = calls_.find(stream);
  if (found != calls_.end() && found->second.serial == serial) {
    OpenCall call = std::move(calls_.extract(found).mapped());
    open_bytes_ -= call.bytes;
    call.cancellation.Release();
    if (!call.answered) {
      Answer(stream, std::move(result));
    }
  }
  Resume();
}

void ServerConnection::Answer(uint32_t stream, Result<std::string> result) {
  Send(stream, EncodeReply(stream, std::move(result), limits().max_sent));
  if (queued_bytes() > limits().max_queued_bytes) {
    End(MakeError(Code::kResourceExhausted, "the other side does not take its answers: " +
                                                std::to_string(queued_bytes()) + " bytes wait"));
  }
}

void ServerConnection::OnRestart() {
  CancelAll();
}

void ServerConnection::OnEnd(const Status& end) {
  CancelAll();
  if (ended_) {
    ended_(this, end);
  }
}

void ServerConnection::CancelAll() {
  std::unordered_map<uint32_t, OpenCall> calls;
  calls.swap(calls_);
  open_bytes_ = 0;
  for (auto& [stream, call] : calls) {
    call.cancellation.Cancel();
  }
}

}  // namespace farlet::ttrpc
