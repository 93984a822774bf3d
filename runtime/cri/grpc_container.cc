#include "runtime/cri/convert.h"
#include "runtime/cri/deadlines.h"
#include "runtime/cri/grpc_client_impl.h"

#include <algorithm>
#include <utility>

namespace farlet::cri {

void GrpcClient::CreateContainer(const SandboxId& sandbox,
                                 const ContainerConfig& config,
                                 const SandboxConfig& sandbox_config,
                                 Callback<ContainerId> done) {
  pb::CreateContainerRequest request;
  request.set_pod_sandbox_id(sandbox.value);
  ToContainerConfig(config, request.mutable_config());
  ToSandboxConfig(sandbox_config, request.mutable_sandbox_config());
  StartUnary<ContainerId>(
      scope_, "CreateContainer", runtime_->async(), &RuntimeStub::CreateContainer,
      std::move(request), deadlines::kCall,
      [](const pb::CreateContainerResponse& response) -> Result<ContainerId> {
        FARLET_ASSIGN(std::string id,
                      RequireText(response.container_id(), "CreateContainer", "container_id"));
        return ContainerId{std::move(id)};
      },
      std::move(done));
}

void GrpcClient::StartContainer(const ContainerId& id, StatusCallback done) {
  pb::StartContainerRequest request;
  request.set_container_id(id.value);
  StartUnary<void>(scope_, "StartContainer", runtime_->async(), &RuntimeStub::StartContainer,
                   std::move(request), deadlines::kCall, kIgnoreAnswer, std::move(done));
}

void GrpcClient::StopContainer(const ContainerId& id, seconds grace, StatusCallback done) {
  const seconds wait = std::max(grace, seconds(0));
  pb::StopContainerRequest request;
  request.set_container_id(id.value);
  request.set_timeout(wait.count());
  StartUnary<void>(scope_, "StopContainer", runtime_->async(), &RuntimeStub::StopContainer,
                   std::move(request), deadlines::Longer(wait), kIgnoreAnswer,
                   IgnoreNotFound(std::move(done)));
}

void GrpcClient::RemoveContainer(const ContainerId& id, StatusCallback done) {
  RemoveBeyondLostTasks(
      [this, id](StatusCallback removed) {
        pb::RemoveContainerRequest request;
        request.set_container_id(id.value);
        StartUnary<void>(scope_, "RemoveContainer", runtime_->async(),
                         &RuntimeStub::RemoveContainer, std::move(request), deadlines::kCall,
                         kIgnoreAnswer, std::move(removed));
      },
      kMaxLostTasks, IgnoreNotFound(std::move(done)));
}

void GrpcClient::ContainerStatus(const ContainerId& id, Callback<cri::ContainerStatus> done) {
  pb::ContainerStatusRequest request;
  request.set_container_id(id.value);
  StartUnary<cri::ContainerStatus>(scope_, "ContainerStatus", runtime_->async(),
                                   &RuntimeStub::ContainerStatus, std::move(request),
                                   deadlines::kCall, FromContainerStatus, std::move(done));
}

void GrpcClient::ListContainers(const StringMap& label_filter,
                                Callback<std::vector<Container>> done) {
  pb::ListContainersRequest request;
  if (!label_filter.empty()) {
    ToMap(label_filter, request.mutable_filter()->mutable_label_selector());
  }
  StartUnary<std::vector<Container>>(scope_, "ListContainers", runtime_->async(),
                                     &RuntimeStub::ListContainers, std::move(request),
                                     deadlines::kCall, FromContainerList, std::move(done));
}

void GrpcClient::ReopenContainerLog(const ContainerId& id, StatusCallback done) {
  pb::ReopenContainerLogRequest request;
  request.set_container_id(id.value);
  StartUnary<void>(scope_, "ReopenContainerLog", runtime_->async(),
                   &RuntimeStub::ReopenContainerLog, std::move(request), deadlines::kCall,
                   kIgnoreAnswer, std::move(done));
}

}  // namespace farlet::cri
