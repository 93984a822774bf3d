#pragma once

#include "tests/fakes/cri/fake_services.h"

#include <grpcpp/server_context.h>
#include <grpcpp/support/status.h>

#include <functional>
#include <memory>
#include <string>

namespace farlet::testing {

inline grpc::Status ToGrpc(const Status& status) {
  return status ? grpc::Status::OK
                : grpc::Status(static_cast<grpc::StatusCode>(status.error().code),
                               status.error().message);
}

// Whether nobody waits for the answer any more.
inline FakeRuntime::Cancelled CancelledOf(const FakeBackend& backend,
                                          const grpc::ServerContext* context) {
  return [&backend, context] { return context->IsCancelled() || backend.stopping(); };
}

// Answers a call about `subject` by `effect`, with the faults that were injected.
inline grpc::Status ServeFake(const FakeBackend& backend,
                              const std::string& rpc,
                              const std::string& subject,
                              const grpc::ServerContext* context,
                              const std::function<Status()>& effect) {
  return ToGrpc(backend.serve(rpc, subject, CancelledOf(backend, context), effect));
}

std::unique_ptr<grpc::Service> MakeRuntimeService(FakeBackend& backend);
std::unique_ptr<grpc::Service> MakeImageService(FakeBackend& backend);
std::unique_ptr<grpc::Service> MakeTaskService(FakeBackend& backend);
std::unique_ptr<grpc::Service> MakeEventService(FakeBackend& backend);

}  // namespace farlet::testing
