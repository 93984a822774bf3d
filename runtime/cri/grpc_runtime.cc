#include "runtime/cri/convert.h"
#include "runtime/cri/deadlines.h"
#include "runtime/cri/grpc_client_impl.h"

#include <utility>

namespace farlet::cri {

void GrpcClient::Version(Callback<RuntimeVersion> done) {
  StartUnary<RuntimeVersion>(
      scope_, "Version", runtime_->async(), &RuntimeStub::Version, pb::VersionRequest(),
      deadlines::kProbe,
      [](const pb::VersionResponse& response) -> Result<RuntimeVersion> {
        if (response.runtime_name().empty()) {
          return MissingField("Version", "runtime_name");
        }
        return RuntimeVersion{.runtime_name = response.runtime_name(),
                              .runtime_version = response.runtime_version(),
                              .runtime_api_version = response.runtime_api_version()};
      },
      std::move(done));
}

void GrpcClient::Status(Callback<RuntimeStatus> done) {
  StartUnary<RuntimeStatus>(
      scope_, "Status", runtime_->async(), &RuntimeStub::Status, pb::StatusRequest(),
      deadlines::kProbe,
      [](const pb::StatusResponse& response) -> Result<RuntimeStatus> {
        if (!response.has_status()) {
          return MissingField("Status", "status");
        }
        return FromStatusResponse(response);
      },
      std::move(done));
}

void GrpcClient::CgroupDriver(Callback<std::string> done) {
  StartUnary<std::string>(
      scope_, "RuntimeConfig", runtime_->async(), &RuntimeStub::RuntimeConfig,
      pb::RuntimeConfigRequest(), deadlines::kCall,
      [](const pb::RuntimeConfigResponse& response) -> Result<std::string> {
        if (!response.has_linux()) {
          return MissingField("RuntimeConfig", "linux");
        }
        return std::string(response.linux().cgroup_driver() == pb::CGROUPFS ? "cgroupfs"
                                                                            : "systemd");
      },
      std::move(done));
}

void GrpcClient::UpdatePodCidr(const std::string& pod_cidr, StatusCallback done) {
  pb::UpdateRuntimeConfigRequest request;
  request.mutable_runtime_config()->mutable_network_config()->set_pod_cidr(pod_cidr);
  StartUnary<void>(scope_, "UpdateRuntimeConfig", runtime_->async(),
                   &RuntimeStub::UpdateRuntimeConfig, std::move(request), deadlines::kCall,
                   kIgnoreAnswer, std::move(done));
}

}  // namespace farlet::cri
