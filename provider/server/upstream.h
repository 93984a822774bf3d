#pragma once

#include "provider/server/exchange.h"
#include "provider/server/io.h"
#include "provider/server/upstream_request.h"
#include "runtime/base/result.h"

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

// Internal.
namespace farlet::server {

// What the streaming server says to an upgrade request.
struct UpstreamAnswer {
  // Set when it did not switch protocols; then nothing else is.
  std::optional<Response> refusal;

  std::optional<tcp::socket> socket;
  std::string head;   // of the 101 answer, for the client
  std::string early;  // what came with it
};

// Connects to the streaming server, sends `request` and reads the answer: the head of a 101, or the
// whole of a refusal. `done` runs once, on the I/O thread. Errors have the HTTP status for the
// client.
void DialUpstream(const std::shared_ptr<IoCore>& core,
                  const StreamingUrl& url,
                  std::string request,
                  std::chrono::milliseconds timeout,
                  std::function<void(Result<UpstreamAnswer>)> done);

// Runs `callback` on the I/O thread after `delay` unless the core stops before. I/O thread.
void RunAfter(const std::shared_ptr<IoCore>& core,
              std::chrono::milliseconds delay,
              std::function<void()> callback);

}  // namespace farlet::server
