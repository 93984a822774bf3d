#include "proto/containerd/tasks/tasks.grpc.pb.h"
#include "tests/fakes/cri/fake_serve.h"

#include <grpcpp/server_context.h>

namespace farlet::testing {
namespace {

namespace tasks = ::containerd::services::tasks::v1;
using grpc::ServerContext;

// Knows only the tasks that FakeCriServer::LoseTask made.
class TaskService final : public tasks::Tasks::Service {
 public:
  explicit TaskService(FakeBackend& backend) : backend_(backend) {}

  grpc::Status Kill(ServerContext* context,
                    const tasks::KillRequest* request,
                    google::protobuf::Empty* /*response*/) override {
    return Serve("Kill", request->container_id(), context, [](bool& running) -> Status {
      if (!running) {
        return MakeError(Code::kFailedPrecondition, "process already finished");
      }
      running = false;
      return {};
    });
  }

  grpc::Status Wait(ServerContext* context,
                    const tasks::WaitRequest* request,
                    tasks::WaitResponse* response) override {
    response->set_exit_status(137);
    return Serve("Wait", request->container_id(), context, [](const bool& running) -> Status {
      return running ? Status(Internal("the fake would wait for ever")) : Status();
    });
  }

  grpc::Status Delete(ServerContext* context,
                      const tasks::DeleteTaskRequest* request,
                      tasks::DeleteResponse* /*response*/) override {
    const std::string& id = request->container_id();
    grpc::Status status = Serve("Delete", id, context, [](const bool& running) -> Status {
      return running ? Status(MakeError(Code::kFailedPrecondition, "task must be stopped"))
                     : Status();
    });
    if (status.ok()) {
      const std::lock_guard lock(backend_.mutex);
      backend_.lost_tasks.erase(id);
    }
    return status;
  }

 private:
  grpc::Status Serve(const std::string& method,
                     const std::string& container,
                     const ServerContext* context,
                     const std::function<Status(bool& running)>& effect) {
    return ServeFake(backend_, "Tasks/" + method, container, context, [&]() -> Status {
      const auto metadata = context->client_metadata().find("containerd-namespace");
      if (metadata == context->client_metadata().end() || metadata->second != "k8s.io") {
        return InvalidArgument("namespace is required");
      }
      const std::lock_guard lock(backend_.mutex);
      const auto found = backend_.lost_tasks.find(container);
      return found == backend_.lost_tasks.end() ? Status(NotFound("no running task found"))
                                                : effect(found->second);
    });
  }

  FakeBackend& backend_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeTaskService(FakeBackend& backend) {
  return std::make_unique<TaskService>(backend);
}

}  // namespace farlet::testing
