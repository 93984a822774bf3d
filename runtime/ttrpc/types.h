#pragma once

#include "runtime/base/result.h"

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace farlet::ttrpc {

// What one connection may cost, whatever its other side sends. A limit of 0 allows nothing.
struct Limits {
  // Of one frame's payload, in either direction. The protocol's own maximum is 4 MiB; lower it
  // where the peer is not trusted and its answers are small.
  size_t max_received = 4u << 20;
  size_t max_sent = 4u << 20;
  // Server: calls without a reply yet. Client: calls without an answer yet. More get
  // kResourceExhausted.
  size_t max_open_calls = 1024;
  // Server: payloads of open calls together. More get kResourceExhausted.
  size_t max_open_bytes = 16u << 20;
  // Frames that the other side has not taken yet. From a half on, a server reads no more requests;
  // above it, the server ends the connection. A client's calls get kResourceExhausted.
  size_t max_queued_bytes = 16u << 20;
  // Server: connections at once. More are closed as soon as they come.
  size_t max_connections = 256;
  // Whether a read of 0 bytes ends the connection. In a guest a virtio port reads so while nobody
  // has it open on the host: then open calls are cancelled, what was under way is dropped, and the
  // next bytes start afresh on the same descriptor.
  bool zero_read_is_end = true;
};

// Tells a handler that nobody waits for its reply any more: the connection ended or the call's time
// ran out. Cheap to copy, thread safe.
class Cancellation {
 public:
  Cancellation() = default;

  bool cancelled() const;

  // Runs `hook` on the I/O thread when that happens, or now when it has happened. At most once, and
  // not after the reply; it must not block. A reply that comes later is dropped.
  void OnCancel(std::function<void()> hook) const;

 private:
  friend class CancellationSource;
  struct State;

  std::shared_ptr<State> state_;
};

struct Request {
  std::string service;
  std::string method;
  std::string payload;
  // 0: none.
  std::chrono::nanoseconds timeout{0};
  std::vector<std::pair<std::string, std::string>> metadata;
  // Set for handlers only.
  Cancellation cancellation;
};

// The first value of `key`, or empty.
std::string_view MetadataValue(const Request& request, std::string_view key);

// To be called once, from any thread; further calls do nothing. When all copies are gone without a
// call, the caller gets kInternal. The error's code and message travel, nothing else of it.
using Reply = std::function<void(Result<std::string> payload)>;

// Runs on the I/O thread and must not block.
using Handler = std::function<void(Request request, Reply reply)>;

// Errors: kInvalidArgument naming `what`.
template <class Message>
Result<Message> ParseMessage(std::string_view bytes, std::string_view what) {
  Message message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return InvalidArgument("parse " + std::string(what) + ": not a valid message");
  }
  return message;
}

}  // namespace farlet::ttrpc
