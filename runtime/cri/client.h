#pragma once

#include "runtime/base/result.h"
#include "runtime/cri/types.h"

#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace farlet::cri {

// CRI v1, asynchronous. Every call has a deadline that the implementation sets (kubelet-contract
// B7: two minutes, Version and Status ten seconds, RunPodSandbox four minutes, StopContainer two
// plus its grace, PullImage bounded by progress only) and calls back exactly once, from a thread of
// its own: callbacks must not block and must not destroy the client. Destroying the client cancels
// what is in flight and waits for the callbacks (kCancelled).
//
// Errors: kUnavailable when the runtime cannot be reached, otherwise the code that it answered
// with; the message is the runtime's own text. Stop and Remove of something unknown succeed (CRI:
// "must not return an error if the … has already been removed"). Answers are validated: an answer
// without a required id is kInternal and names the field.
class Client {
 public:
  virtual ~Client() = default;

  virtual void Version(Callback<RuntimeVersion> done) = 0;
  virtual void Status(Callback<RuntimeStatus> done) = 0;
  // "cgroupfs" or "systemd"; kUnimplemented before containerd 2.0.
  virtual void CgroupDriver(Callback<std::string> done) = 0;
  virtual void UpdatePodCidr(const std::string& pod_cidr, StatusCallback done) = 0;

  virtual void RunPodSandbox(const SandboxConfig& config,
                             const std::string& runtime_handler,
                             Callback<SandboxId> done) = 0;
  virtual void StopPodSandbox(const SandboxId& id, StatusCallback done) = 0;
  virtual void RemovePodSandbox(const SandboxId& id, StatusCallback done) = 0;
  virtual void PodSandboxStatus(const SandboxId& id, Callback<SandboxStatus> done) = 0;
  // All sandboxes, or those whose labels contain `label_filter`.
  virtual void ListPodSandbox(const StringMap& label_filter,
                              Callback<std::vector<Sandbox>> done) = 0;

  // `sandbox_config` must be the one that the sandbox was made with.
  virtual void CreateContainer(const SandboxId& sandbox,
                               const ContainerConfig& config,
                               const SandboxConfig& sandbox_config,
                               Callback<ContainerId> done) = 0;
  virtual void StartContainer(const ContainerId& id, StatusCallback done) = 0;
  // SIGTERM (or the image's stop signal), then SIGKILL after `grace`.
  virtual void StopContainer(const ContainerId& id, seconds grace, StatusCallback done) = 0;
  virtual void RemoveContainer(const ContainerId& id, StatusCallback done) = 0;
  virtual void ContainerStatus(const ContainerId& id, Callback<cri::ContainerStatus> done) = 0;
  virtual void ListContainers(const StringMap& label_filter,
                              Callback<std::vector<Container>> done) = 0;
  virtual void ReopenContainerLog(const ContainerId& id, StatusCallback done) = 0;

  // kDeadlineExceeded when the command outlived `timeout` (0: no timeout).
  virtual void ExecSync(const ContainerId& id,
                        const std::vector<std::string>& command,
                        seconds timeout,
                        Callback<ExecSyncResult> done) = 0;
  // The URL of the streaming server that serves the session.
  virtual void Exec(const StreamOptions& options, Callback<std::string> done) = 0;
  virtual void Attach(const StreamOptions& options, Callback<std::string> done) = 0;
  virtual void PortForward(const SandboxId& id,
                           const std::vector<int32_t>& ports,
                           Callback<std::string> done) = 0;

  // Null when the image is not present.
  virtual void ImageStatus(const std::string& image,
                           Callback<std::shared_ptr<const Image>> done) = 0;
  // The image ref (id) to run. `sandbox_config` may be null.
  virtual void PullImage(const std::string& image,
                         const ImageAuth& auth,
                         const SandboxConfig* sandbox_config,
                         Callback<std::string> done) = 0;
  virtual void ListImages(Callback<std::vector<Image>> done) = 0;
  virtual void ImageFsInfo(Callback<std::vector<FilesystemUsage>> done) = 0;
};

}  // namespace farlet::cri
