#include "proto/cri/v1/api.grpc.pb.h"
#include "tests/fakes/cri/fake_convert.h"
#include "tests/fakes/cri/fake_serve.h"

#include <grpcpp/server_context.h>

#include <algorithm>
#include <utility>

namespace farlet::testing {
namespace {

namespace pb = ::runtime::v1;
using grpc::ServerContext;

template <class Labels>
bool Matches(const cri::StringMap& labels, const Labels& selector) {
  return std::all_of(selector.begin(), selector.end(), [&](const auto& wanted) {
    const auto found = labels.find(wanted.first);
    return found != labels.end() && found->second == wanted.second;
  });
}

// Inside the service, Status is a method.
using Outcome = farlet::Status;

class RuntimeService final : public pb::RuntimeService::Service {
 public:
  explicit RuntimeService(FakeBackend& backend) : backend_(backend), runtime_(backend.runtime) {}

  grpc::Status Version(ServerContext* context,
                       const pb::VersionRequest* /*request*/,
                       pb::VersionResponse* response) override {
    return ServeFake(backend_, "Version", "", context, [&] {
      response->set_version("0.1.0");
      response->set_runtime_name("containerd");
      response->set_runtime_version(backend_.options.version);
      response->set_runtime_api_version("v1");
      return Outcome();
    });
  }

  grpc::Status Status(ServerContext* context,
                      const pb::StatusRequest* /*request*/,
                      pb::StatusResponse* response) override {
    return ServeFake(backend_, "Status", "", context, [&] {
      const std::lock_guard lock(backend_.mutex);
      response->mutable_status();
      for (const cri::RuntimeCondition& condition : backend_.conditions) {
        pb::RuntimeCondition* added = response->mutable_status()->add_conditions();
        added->set_type(condition.type);
        added->set_status(condition.status);
        added->set_reason(condition.reason);
        added->set_message(condition.message);
      }
      return Outcome();
    });
  }

  grpc::Status RuntimeConfig(ServerContext* context,
                             const pb::RuntimeConfigRequest* /*request*/,
                             pb::RuntimeConfigResponse* response) override {
    return ServeFake(backend_, "RuntimeConfig", "", context, [&]() -> Outcome {
      if (backend_.options.cgroup_driver.empty()) {
        return MakeError(Code::kUnimplemented, "unknown method RuntimeConfig");
      }
      response->mutable_linux()->set_cgroup_driver(
          backend_.options.cgroup_driver == "systemd" ? pb::SYSTEMD : pb::CGROUPFS);
      return {};
    });
  }

  grpc::Status UpdateRuntimeConfig(ServerContext* context,
                                   const pb::UpdateRuntimeConfigRequest* request,
                                   pb::UpdateRuntimeConfigResponse* /*response*/) override {
    return ServeFake(backend_, "UpdateRuntimeConfig", "", context, [&] {
      const std::lock_guard lock(backend_.mutex);
      backend_.pod_cidr = request->runtime_config().network_config().pod_cidr();
      return Outcome();
    });
  }

  grpc::Status RunPodSandbox(ServerContext* context,
                             const pb::RunPodSandboxRequest* request,
                             pb::RunPodSandboxResponse* response) override {
    return ServeFake(backend_, "RunPodSandbox", request->config().metadata().name(), context,
                     [&]() -> Outcome {
                       FARLET_ASSIGN(*response->mutable_pod_sandbox_id(),
                                     runtime_.RunSandbox(ReadSandboxConfig(request->config()),
                                                         request->runtime_handler()));
                       return {};
                     });
  }

  grpc::Status StopPodSandbox(ServerContext* context,
                              const pb::StopPodSandboxRequest* request,
                              pb::StopPodSandboxResponse* /*response*/) override {
    return ServeFake(backend_, "StopPodSandbox", request->pod_sandbox_id(), context, [&] {
      runtime_.StopSandbox(request->pod_sandbox_id());
      return Outcome();
    });
  }

  grpc::Status RemovePodSandbox(ServerContext* context,
                                const pb::RemovePodSandboxRequest* request,
                                pb::RemovePodSandboxResponse* /*response*/) override {
    const std::string& id = request->pod_sandbox_id();
    return ServeFake(backend_, "RemovePodSandbox", id, context, [&]() -> Outcome {
      for (const FakeContainer& container : runtime_.Containers()) {
        if (container.sandbox_id == id) {
          FARLET_TRY(backend_.CheckNoTask(container.id));
        }
      }
      runtime_.RemoveSandbox(id);
      return {};
    });
  }

  grpc::Status PodSandboxStatus(ServerContext* context,
                                const pb::PodSandboxStatusRequest* request,
                                pb::PodSandboxStatusResponse* response) override {
    return ServeFake(backend_, "PodSandboxStatus", request->pod_sandbox_id(), context,
                     [&]() -> Outcome {
                       const auto sandbox = runtime_.Sandbox(request->pod_sandbox_id());
                       if (!sandbox) {
                         return NotFound("an error occurred when try to find sandbox: not found");
                       }
                       WriteSandboxStatus(*sandbox, response->mutable_status());
                       return {};
                     });
  }

  grpc::Status ListPodSandbox(ServerContext* context,
                              const pb::ListPodSandboxRequest* request,
                              pb::ListPodSandboxResponse* response) override {
    return ServeFake(backend_, "ListPodSandbox", "", context, [&] {
      for (const FakeSandbox& sandbox : runtime_.Sandboxes()) {
        if (Matches(sandbox.config.labels, request->filter().label_selector())) {
          WriteSandbox(sandbox, response->add_items());
        }
      }
      return Outcome();
    });
  }

  grpc::Status CreateContainer(ServerContext* context,
                               const pb::CreateContainerRequest* request,
                               pb::CreateContainerResponse* response) override {
    return ServeFake(
        backend_, "CreateContainer", request->config().metadata().name(), context,
        [&]() -> Outcome {
          const auto config = ReadContainerConfig(request->config());
          const auto image = runtime_.FindImage(config.image);
          if (!image || !image->present) {
            return NotFound("failed to resolve image \"" + config.image + "\": not found");
          }
          FARLET_ASSIGN(*response->mutable_container_id(),
                        runtime_.CreateContainer(request->pod_sandbox_id(), config));
          return {};
        });
  }

  grpc::Status StartContainer(ServerContext* context,
                              const pb::StartContainerRequest* request,
                              pb::StartContainerResponse* /*response*/) override {
    return ServeFake(backend_, "StartContainer", request->container_id(), context,
                     [&] { return runtime_.StartContainer(request->container_id()); });
  }

  grpc::Status StopContainer(ServerContext* context,
                             const pb::StopContainerRequest* request,
                             pb::StopContainerResponse* /*response*/) override {
    return ServeFake(backend_, "StopContainer", request->container_id(), context, [&] {
      return runtime_.StopContainer(request->container_id(), seconds(request->timeout()),
                                    CancelledOf(backend_, context));
    });
  }

  grpc::Status RemoveContainer(ServerContext* context,
                               const pb::RemoveContainerRequest* request,
                               pb::RemoveContainerResponse* /*response*/) override {
    const std::string& id = request->container_id();
    return ServeFake(backend_, "RemoveContainer", id, context, [&]() -> Outcome {
      FARLET_TRY(backend_.CheckNoTask(id));
      runtime_.RemoveContainer(id);
      return {};
    });
  }

  grpc::Status ContainerStatus(ServerContext* context,
                               const pb::ContainerStatusRequest* request,
                               pb::ContainerStatusResponse* response) override {
    return ServeFake(backend_, "ContainerStatus", request->container_id(), context,
                     [&]() -> Outcome {
                       const auto container = runtime_.Container(request->container_id());
                       if (!container) {
                         return NotFound("an error occurred when try to find container: not found");
                       }
                       WriteContainerStatus(*container, ImageId(container->config.image),
                                            response->mutable_status());
                       return {};
                     });
  }

  grpc::Status ListContainers(ServerContext* context,
                              const pb::ListContainersRequest* request,
                              pb::ListContainersResponse* response) override {
    return ServeFake(backend_, "ListContainers", "", context, [&] {
      for (const FakeContainer& container : runtime_.Containers()) {
        if (Matches(container.config.labels, request->filter().label_selector())) {
          WriteContainer(container, ImageId(container.config.image), response->add_containers());
        }
      }
      return Outcome();
    });
  }

  grpc::Status ReopenContainerLog(ServerContext* context,
                                  const pb::ReopenContainerLogRequest* request,
                                  pb::ReopenContainerLogResponse* /*response*/) override {
    return ServeFake(backend_, "ReopenContainerLog", request->container_id(), context,
                     [&] { return runtime_.ReopenLog(request->container_id()); });
  }

  grpc::Status ExecSync(ServerContext* context,
                        const pb::ExecSyncRequest* request,
                        pb::ExecSyncResponse* response) override {
    return ServeFake(backend_, "ExecSync", request->container_id(), context, [&]() -> Outcome {
      const std::vector<std::string> command(request->cmd().begin(), request->cmd().end());
      FARLET_ASSIGN(const auto result, runtime_.ExecSync(request->container_id(), command));
      response->set_stdout(result.stdout_text);
      response->set_stderr(result.stderr_text);
      response->set_exit_code(result.exit_code);
      return {};
    });
  }

  grpc::Status Exec(ServerContext* context,
                    const pb::ExecRequest* request,
                    pb::ExecResponse* response) override {
    return ServeFake(backend_, "Exec", request->container_id(), context, [&] {
      const std::lock_guard lock(backend_.mutex);
      backend_.last_stream = {.container = {request->container_id()},
                              .command = {request->cmd().begin(), request->cmd().end()},
                              .stdin_open = request->stdin(),
                              .stdout_open = request->stdout(),
                              .stderr_open = request->stderr(),
                              .tty = request->tty()};
      response->set_url(backend_.stream_url);
      return Outcome();
    });
  }

  grpc::Status Attach(ServerContext* context,
                      const pb::AttachRequest* request,
                      pb::AttachResponse* response) override {
    return ServeFake(backend_, "Attach", request->container_id(), context, [&] {
      const std::lock_guard lock(backend_.mutex);
      backend_.last_stream = {.container = {request->container_id()},
                              .stdin_open = request->stdin(),
                              .stdout_open = request->stdout(),
                              .stderr_open = request->stderr(),
                              .tty = request->tty()};
      response->set_url(backend_.stream_url);
      return Outcome();
    });
  }

  grpc::Status PortForward(ServerContext* context,
                           const pb::PortForwardRequest* request,
                           pb::PortForwardResponse* response) override {
    return ServeFake(backend_, "PortForward", request->pod_sandbox_id(), context, [&] {
      const std::lock_guard lock(backend_.mutex);
      response->set_url(backend_.stream_url);
      return Outcome();
    });
  }

  grpc::Status GetContainerEvents(ServerContext* context,
                                  const pb::GetEventsRequest* /*request*/,
                                  grpc::ServerWriter<pb::ContainerEventResponse>* writer) override {
    return ServeFake(backend_, "GetContainerEvents", "", context, [&]() -> Outcome {
      {
        const std::lock_guard lock(backend_.mutex);
        if (!backend_.options.cri_events) {
          return MakeError(Code::kUnimplemented, "GetContainerEvents is not supported");
        }
      }
      const FakeEventHub::Stream stream = backend_.events.Open();
      while (!CancelledOf(backend_, context)()) {
        if (const auto event = backend_.events.Next(stream)) {
          WriteEvent(*event, writer);
        }
      }
      backend_.events.Close(stream);
      return {};
    });
  }

 private:
  static void WriteEvent(const FakeEvent& event,
                         grpc::ServerWriter<pb::ContainerEventResponse>* writer) {
    pb::ContainerEventResponse response;
    response.set_container_id(event.id);
    switch (event.kind) {
      case FakeEvent::Kind::kCreated:
        response.set_container_event_type(pb::CONTAINER_CREATED_EVENT);
        break;
      case FakeEvent::Kind::kStarted:
        response.set_container_event_type(pb::CONTAINER_STARTED_EVENT);
        break;
      case FakeEvent::Kind::kStopped:
        response.set_container_event_type(pb::CONTAINER_STOPPED_EVENT);
        break;
      case FakeEvent::Kind::kDeleted:
        response.set_container_event_type(pb::CONTAINER_DELETED_EVENT);
        break;
      default:
        return;
    }
    writer->Write(response);
  }

  std::string ImageId(const std::string& name) const {
    const auto image = runtime_.FindImage(name);
    return image ? image->spec.id : name;
  }

  FakeBackend& backend_;
  FakeRuntime& runtime_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeRuntimeService(FakeBackend& backend) {
  return std::make_unique<RuntimeService>(backend);
}

}  // namespace farlet::testing
