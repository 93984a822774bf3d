#pragma once

#include "proto/containerd/tasks/tasks.grpc.pb.h"
#include "proto/cri/v1/api.grpc.pb.h"
#include "runtime/cri/call.h"
#include "runtime/cri/client.h"

#include <grpcpp/channel.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace farlet::cri {

namespace pb = ::runtime::v1;

// The methods are defined in grpc_{runtime,sandbox,container,session,image}.cc.
class GrpcClient final : public Client {
 public:
  GrpcClient(std::string endpoint, const std::shared_ptr<grpc::Channel>& channel);
  ~GrpcClient() override;

  GrpcClient(const GrpcClient&) = delete;
  GrpcClient& operator=(const GrpcClient&) = delete;

  void Version(Callback<RuntimeVersion> done) override;
  void Status(Callback<RuntimeStatus> done) override;
  void CgroupDriver(Callback<std::string> done) override;
  void UpdatePodCidr(const std::string& pod_cidr, StatusCallback done) override;

  void RunPodSandbox(const SandboxConfig& config,
                     const std::string& runtime_handler,
                     Callback<SandboxId> done) override;
  void StopPodSandbox(const SandboxId& id, StatusCallback done) override;
  void RemovePodSandbox(const SandboxId& id, StatusCallback done) override;
  void PodSandboxStatus(const SandboxId& id, Callback<SandboxStatus> done) override;
  void ListPodSandbox(const StringMap& label_filter, Callback<std::vector<Sandbox>> done) override;

  void CreateContainer(const SandboxId& sandbox,
                       const ContainerConfig& config,
                       const SandboxConfig& sandbox_config,
                       Callback<ContainerId> done) override;
  void StartContainer(const ContainerId& id, StatusCallback done) override;
  void StopContainer(const ContainerId& id, seconds grace, StatusCallback done) override;
  void RemoveContainer(const ContainerId& id, StatusCallback done) override;
  void ContainerStatus(const ContainerId& id, Callback<cri::ContainerStatus> done) override;
  void ListContainers(const StringMap& label_filter,
                      Callback<std::vector<Container>> done) override;
  void ReopenContainerLog(const ContainerId& id, StatusCallback done) override;

  void ExecSync(const ContainerId& id,
                const std::vector<std::string>& command,
                seconds timeout,
                Callback<ExecSyncResult> done) override;
  void Exec(const StreamOptions& options, Callback<std::string> done) override;
  void Attach(const StreamOptions& options, Callback<std::string> done) override;
  void PortForward(const SandboxId& id,
                   const std::vector<int32_t>& ports,
                   Callback<std::string> done) override;

  void ImageStatus(const std::string& image, Callback<std::shared_ptr<const Image>> done) override;
  void PullImage(const std::string& image,
                 const ImageAuth& auth,
                 const SandboxConfig* sandbox_config,
                 Callback<std::string> done) override;
  void ListImages(Callback<std::vector<Image>> done) override;
  void ImageFsInfo(Callback<std::vector<FilesystemUsage>> done) override;

 private:
  using RuntimeStub = pb::RuntimeService::StubInterface::async_interface;
  using ImageStub = pb::ImageService::StubInterface::async_interface;

  // Starts a Remove call; when a lost task (lost_task.h) is in its way, ends that and tries again.
  using Remove = std::function<void(StatusCallback done)>;
  void RemoveBeyondLostTasks(Remove remove, int tries, StatusCallback done);

  CallScope scope_;
  std::unique_ptr<pb::RuntimeService::Stub> runtime_;
  std::unique_ptr<pb::ImageService::Stub> image_;
  std::unique_ptr<::containerd::services::tasks::v1::Tasks::Stub> tasks_;
};

// Converters and helpers that several of those files use.

// An answer whose content does not matter.
inline constexpr auto kIgnoreAnswer = [](const auto& /*response*/) -> Result<void> { return {}; };

// Stop and Remove of something that is gone are done (CRI: "must not return an error if …").
StatusCallback IgnoreNotFound(StatusCallback done);

// One Remove call meets at most this many containers with a lost task; the caller's own retries do
// the rest.
inline constexpr int kMaxLostTasks = 16;

}  // namespace farlet::cri
