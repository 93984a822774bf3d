#include "proto/containerd/events/events.pb.h"
#include "proto/containerd/events/service.grpc.pb.h"
#include "tests/fakes/cri/fake_serve.h"

#include <grpcpp/server_context.h>

namespace farlet::testing {
namespace {

namespace containerd = ::containerd::services::events::v1;
using grpc::ServerContext;

class EventService final : public containerd::Events::Service {
 public:
  explicit EventService(FakeBackend& backend) : backend_(backend) {}

  grpc::Status Subscribe(ServerContext* context,
                         const containerd::SubscribeRequest* request,
                         grpc::ServerWriter<containerd::Envelope>* writer) override {
    const auto cancelled = CancelledOf(backend_, context);
    return ServeFake(backend_, "Subscribe", "", context, [&]() -> Status {
      const auto metadata = context->client_metadata().find("containerd-namespace");
      if (metadata == context->client_metadata().end() || metadata->second != "k8s.io") {
        return InvalidArgument("namespace is required");
      }
      if (request->filters().empty()) {
        return InvalidArgument("the fake wants filters");
      }
      const FakeEventHub::Stream stream = backend_.events.Open();
      while (!cancelled()) {
        if (const auto event = backend_.events.Next(stream)) {
          Write(*event, writer);
        }
      }
      backend_.events.Close(stream);
      return {};
    });
  }

 private:
  static void Send(const std::string& topic,
                   const std::string& type,
                   const google::protobuf::MessageLite& payload,
                   grpc::ServerWriter<containerd::Envelope>* writer) {
    containerd::Envelope envelope;
    envelope.set_namespace_("k8s.io");
    envelope.set_topic(topic);
    envelope.mutable_event()->set_type_url("containerd.events." + type);
    payload.SerializeToString(envelope.mutable_event()->mutable_value());
    writer->Write(envelope);
  }

  static void Write(const FakeEvent& event, grpc::ServerWriter<containerd::Envelope>* writer) {
    switch (event.kind) {
      case FakeEvent::Kind::kStarted: {
        ::containerd::events::TaskStart payload;
        payload.set_container_id(event.id);
        Send("/tasks/start", "TaskStart", payload, writer);
        break;
      }
      case FakeEvent::Kind::kExit: {
        ::containerd::events::TaskExit payload;
        payload.set_container_id(event.id);
        payload.set_id(event.id);
        payload.set_exit_status(static_cast<uint32_t>(event.exit_code));
        Send("/tasks/exit", "TaskExit", payload, writer);
        break;
      }
      case FakeEvent::Kind::kTaskDelete: {
        ::containerd::events::TaskDelete payload;
        payload.set_container_id(event.id);
        Send("/tasks/delete", "TaskDelete", payload, writer);
        break;
      }
      case FakeEvent::Kind::kOutOfMemory: {
        ::containerd::events::TaskOOM payload;
        payload.set_container_id(event.id);
        Send("/tasks/oom", "TaskOOM", payload, writer);
        break;
      }
      case FakeEvent::Kind::kDeleted: {
        ::containerd::events::ContainerDelete payload;
        payload.set_id(event.id);
        Send("/containers/delete", "ContainerDelete", payload, writer);
        break;
      }
      case FakeEvent::Kind::kCreated:
      case FakeEvent::Kind::kStopped:
        break;
    }
  }

  FakeBackend& backend_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeEventService(FakeBackend& backend) {
  return std::make_unique<EventService>(backend);
}

}  // namespace farlet::testing
