#include "runtime/cri/event_stream.h"

#include "proto/containerd/events/service.grpc.pb.h"
#include "proto/cri/v1/api.grpc.pb.h"
#include "runtime/cri/deadlines.h"
#include "runtime/cri/event_parse.h"

#include <grpcpp/client_context.h>
#include <grpcpp/support/client_callback.h>

#include <utility>

namespace farlet::cri {
namespace {

namespace pb = ::runtime::v1;
namespace containerd_events = ::containerd::services::events::v1;

// Reads one server stream to its end and then deletes itself.
template <class Stub, class Request, class Message>
class StreamReader final : public grpc::ClientReadReactor<Message> {
 public:
  StreamReader(CallScope& scope, std::unique_ptr<Stub> stub, StreamHandler handler)
      : scope_(scope), stub_(std::move(stub)), handler_(std::move(handler)) {}

  grpc::ClientContext& context() { return context_; }

  Request& request() { return request_; }

  Stub& stub() { return *stub_; }

  void Begin() {
    this->StartRead(&message_);
    this->StartCall();
  }

  void OnReadDone(bool ok) override {
    if (ok) {
      handler_.on_event(ParseEvent(message_));
      this->StartRead(&message_);
    }
  }

  void OnDone(const grpc::Status& status) override {
    CallScope& scope = scope_;
    auto on_end = std::move(handler_.on_end);
    // The context and the stub hold the channel: gone before the owner may go on.
    scope.gate.Forget(&context_);
    delete this;
    on_end(status);
    on_end = nullptr;
    scope.gate.Leave();
  }

 private:
  CallScope& scope_;
  std::unique_ptr<Stub> stub_;
  StreamHandler handler_;
  grpc::ClientContext context_;
  Request request_;
  Message message_;
};

}  // namespace

bool OpenCriEvents(CallScope& scope,
                   const std::shared_ptr<grpc::Channel>& channel,
                   StreamHandler handler) {
  using Reader =
      StreamReader<pb::RuntimeService::Stub, pb::GetEventsRequest, pb::ContainerEventResponse>;
  auto reader =
      std::make_unique<Reader>(scope, pb::RuntimeService::NewStub(channel), std::move(handler));
  if (!scope.gate.Enter(&reader->context())) {
    return false;
  }
  Reader* started = reader.release();  // deletes itself
  started->stub().async()->GetContainerEvents(&started->context(), &started->request(), started);
  started->Begin();
  return true;
}

bool OpenContainerdEvents(CallScope& scope,
                          const std::shared_ptr<grpc::Channel>& channel,
                          StreamHandler handler) {
  using Reader = StreamReader<containerd_events::Events::Stub, containerd_events::SubscribeRequest,
                              containerd_events::Envelope>;
  auto reader = std::make_unique<Reader>(scope, containerd_events::Events::NewStub(channel),
                                         std::move(handler));
  reader->context().AddMetadata("containerd-namespace", kContainerdNamespace);
  for (std::string& filter : ContainerdEventFilters()) {
    reader->request().add_filters(std::move(filter));
  }
  if (!scope.gate.Enter(&reader->context())) {
    return false;
  }
  Reader* started = reader.release();  // deletes itself
  started->stub().async()->Subscribe(&started->context(), &started->request(), started);
  started->Begin();
  return true;
}

void ProbeConnection(CallScope& scope,
                     const std::shared_ptr<grpc::Channel>& channel,
                     StatusCallback done) {
  const std::shared_ptr<pb::RuntimeService::Stub> stub = pb::RuntimeService::NewStub(channel);
  StartUnary<void>(
      scope, "Version", stub->async(), &pb::RuntimeService::StubInterface::async_interface::Version,
      pb::VersionRequest(), deadlines::kProbe,
      [](const pb::VersionResponse& /*answer*/) -> Result<void> { return {}; }, std::move(done));
}

}  // namespace farlet::cri
