#pragma once

#include "runtime/base/result.h"
#include "runtime/cri/call.h"
#include "runtime/cri/event_source.h"

#include <grpcpp/channel.h>
#include <grpcpp/support/status.h>

#include <functional>
#include <memory>
#include <optional>

namespace farlet::cri {

// Where a stream's events and its end go; called from gRPC's threads, one at a time.
struct StreamHandler {
  std::function<void(Result<std::optional<RuntimeEvent>>)> on_event;
  // The last call; the stream is gone when it runs.
  std::function<void(const grpc::Status&)> on_end;
};

// Open a stream of events that is counted in scope.gate until after on_end, and which Close() of
// the gate cancels. False when the gate is closed: then nothing is called.
bool OpenCriEvents(CallScope& scope,
                   const std::shared_ptr<grpc::Channel>& channel,
                   StreamHandler handler);
bool OpenContainerdEvents(CallScope& scope,
                          const std::shared_ptr<grpc::Channel>& channel,
                          StreamHandler handler);

// Asks for the runtime's version over the same connection: an answer means that a stream opened
// before it has reached the runtime.
void ProbeConnection(CallScope& scope,
                     const std::shared_ptr<grpc::Channel>& channel,
                     StatusCallback done);

}  // namespace farlet::cri
