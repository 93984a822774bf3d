#pragma once

#include "runtime/base/clock.h"
#include "runtime/base/result.h"
#include "runtime/cri/error_map.h"

#include <grpcpp/client_context.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <type_traits>
#include <unordered_set>
#include <utility>

namespace farlet::cri {

// The calls in flight, so that an owner can cancel and await them before it goes away. Thread safe.
//
//   Enter ──► cancellable ──Forget──► ending ──Leave──► gone
class CallGate {
 public:
  CallGate() = default;
  CallGate(const CallGate&) = delete;
  CallGate& operator=(const CallGate&) = delete;

  // False when the gate is closed: the call must not start.
  bool Enter(grpc::ClientContext* context) {
    const std::lock_guard lock(mutex_);
    if (closed_) {
      return false;
    }
    cancellable_.insert(context);
    ++inside_;
    return true;
  }

  // `context` is about to be destroyed.
  void Forget(grpc::ClientContext* context) {
    const std::lock_guard lock(mutex_);
    cancellable_.erase(context);
  }

  // The last thing that a call does.
  void Leave() {
    const std::lock_guard lock(mutex_);
    if (--inside_ == 0) {
      empty_.notify_all();
    }
  }

  // Refuses new calls, cancels the ones in flight and waits for them.
  void Close() {
    std::unique_lock lock(mutex_);
    closed_ = true;
    for (grpc::ClientContext* context : cancellable_) {
      context->TryCancel();
    }
    empty_.wait(lock, [this] { return inside_ == 0; });
  }

 private:
  std::mutex mutex_;  // guards all below
  std::condition_variable empty_;
  bool closed_ = false;
  int inside_ = 0;
  std::unordered_set<grpc::ClientContext*> cancellable_;
};

// Where CRI keeps its containers. CRI's own services do not look at it, containerd's others insist.
inline constexpr char kContainerdNamespace[] = "k8s.io";

// What every call of one client has in common.
struct CallScope {
  std::string endpoint;
  CallGate gate;
};

// One unary call: keeps everything that gRPC needs until the callback.
template <class Request, class Response>
struct UnaryCall {
  grpc::ClientContext context;
  Request request;
  Response response;
};

// Starts `method` of a callback stub; `convert` makes a Result<Out> of the response. `done` is
// called exactly once; with kCancelled from within this function when the scope is closed.
template <class Out, class Stub, class Request, class Response, class Convert>
void StartUnary(CallScope& scope,
                const char* name,
                std::type_identity_t<Stub>* stub,
                void (Stub::*method)(grpc::ClientContext*,
                                     const Request*,
                                     Response*,
                                     std::function<void(grpc::Status)>),
                Request request,
                seconds deadline,
                Convert convert,
                Callback<Out> done) {
  auto call = std::make_shared<UnaryCall<Request, Response>>();
  call->request = std::move(request);
  if (deadline.count() > 0) {
    call->context.set_deadline(std::chrono::system_clock::now() + deadline);
  }
  call->context.AddMetadata("containerd-namespace", kContainerdNamespace);
  if (!scope.gate.Enter(&call->context)) {
    done(Cancelled(std::string(name) + ": the runtime client is being closed"));
    return;
  }
  (stub->*method)(&call->context, &call->request, &call->response,
                  [&scope, name, call, convert = std::move(convert),
                   done = std::move(done)](const grpc::Status& status) mutable {
                    if (status.ok()) {
                      done(convert(call->response));
                    } else {
                      done(FromGrpcStatus(status, name, scope.endpoint));
                    }
                    // The context holds the channel, whose last reference must not go on a thread
                    // of gRPC's: both are gone before the owner may go on.
                    done = nullptr;
                    scope.gate.Forget(&call->context);
                    call.reset();
                    scope.gate.Leave();
                  });
}

}  // namespace farlet::cri
