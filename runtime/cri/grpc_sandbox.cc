#include "runtime/cri/convert.h"
#include "runtime/cri/deadlines.h"
#include "runtime/cri/grpc_client_impl.h"

#include <utility>

namespace farlet::cri {

void GrpcClient::RunPodSandbox(const SandboxConfig& config,
                               const std::string& runtime_handler,
                               Callback<SandboxId> done) {
  pb::RunPodSandboxRequest request;
  ToSandboxConfig(config, request.mutable_config());
  request.set_runtime_handler(runtime_handler);
  StartUnary<SandboxId>(
      scope_, "RunPodSandbox", runtime_->async(), &RuntimeStub::RunPodSandbox, std::move(request),
      deadlines::kRunPodSandbox,
      [](const pb::RunPodSandboxResponse& response) -> Result<SandboxId> {
        FARLET_ASSIGN(std::string id,
                      RequireText(response.pod_sandbox_id(), "RunPodSandbox", "pod_sandbox_id"));
        return SandboxId{std::move(id)};
      },
      std::move(done));
}

void GrpcClient::StopPodSandbox(const SandboxId& id, StatusCallback done) {
  pb::StopPodSandboxRequest request;
  request.set_pod_sandbox_id(id.value);
  StartUnary<void>(scope_, "StopPodSandbox", runtime_->async(), &RuntimeStub::StopPodSandbox,
                   std::move(request), deadlines::kCall, kIgnoreAnswer,
                   IgnoreNotFound(std::move(done)));
}

void GrpcClient::RemovePodSandbox(const SandboxId& id, StatusCallback done) {
  RemoveBeyondLostTasks(
      [this, id](StatusCallback removed) {
        pb::RemovePodSandboxRequest request;
        request.set_pod_sandbox_id(id.value);
        StartUnary<void>(scope_, "RemovePodSandbox", runtime_->async(),
                         &RuntimeStub::RemovePodSandbox, std::move(request), deadlines::kCall,
                         kIgnoreAnswer, std::move(removed));
      },
      kMaxLostTasks, IgnoreNotFound(std::move(done)));
}

void GrpcClient::PodSandboxStatus(const SandboxId& id, Callback<SandboxStatus> done) {
  pb::PodSandboxStatusRequest request;
  request.set_pod_sandbox_id(id.value);
  StartUnary<SandboxStatus>(scope_, "PodSandboxStatus", runtime_->async(),
                            &RuntimeStub::PodSandboxStatus, std::move(request), deadlines::kCall,
                            FromSandboxStatus, std::move(done));
}

void GrpcClient::ListPodSandbox(const StringMap& label_filter,
                                Callback<std::vector<Sandbox>> done) {
  pb::ListPodSandboxRequest request;
  if (!label_filter.empty()) {
    ToMap(label_filter, request.mutable_filter()->mutable_label_selector());
  }
  StartUnary<std::vector<Sandbox>>(scope_, "ListPodSandbox", runtime_->async(),
                                   &RuntimeStub::ListPodSandbox, std::move(request),
                                   deadlines::kCall, FromSandboxList, std::move(done));
}

}  // namespace farlet::cri
