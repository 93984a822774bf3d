#pragma once

#include "runtime/ttrpc/cancellation.h"
#include "runtime/ttrpc/connection.h"
#include "runtime/ttrpc/types.h"

#include <boost/asio/steady_timer.hpp>

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>

// Internal.
namespace farlet::ttrpc {

// By service, then by method.
using Methods = std::map<std::string, std::map<std::string, Handler>>;

// Answers the calls of one connection. I/O thread only.
class ServerConnection final : public Connection {
 public:
  using Ended = std::function<void(ServerConnection* self, const Status& end)>;

  // `methods` does not change any more.
  ServerConnection(asio::io_context& context,
                   UniqueFd fd,
                   const Limits& limits,
                   std::shared_ptr<const Methods> methods,
                   Ended ended);

 private:
  class ReplyOnce;

  // Lives until its handler has let go of the reply, so that the limits count what handlers hold
  // and not what callers still wait for.
  struct OpenCall {
    uint64_t serial = 0;  // a stream's number may come again
    size_t bytes = 0;
    bool answered = false;
    CancellationSource cancellation;
    std::unique_ptr<asio::steady_timer> timer;
  };

  Status OnFrame(Frame frame) override;
  void OnRestart() override;
  void OnEnd(const Status& end) override;

  bool WantsToRead() const override {
    return queued_bytes() + *posted_bytes_ <= limits().max_queued_bytes / 2;
  }

  // What is wrong with a request that is answered without a handler.
  Status Admit(const Frame& frame) const;
  void Open(uint32_t stream, Request request, const Handler& handler, size_t bytes);
  void StartTimer(uint32_t stream, OpenCall& call, std::chrono::nanoseconds timeout);
  // The handler's answer.
  void Close(uint32_t stream, uint64_t serial, Result<std::string> result);
  void Answer(uint32_t stream, Result<std::string> result);
  void CancelAll();

  const std::shared_ptr<const Methods> methods_;
  const Ended ended_;
  // Answers on their way from the handlers to here.
  const std::shared_ptr<std::atomic<size_t>> posted_bytes_ =
      std::make_shared<std::atomic<size_t>>(0);
  std::unordered_map<uint32_t, OpenCall> calls_;
  size_t open_bytes_ = 0;
  uint64_t next_serial_ = 1;
};

}  // namespace farlet::ttrpc
