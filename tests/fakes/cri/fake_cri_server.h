#pragma once

#include "runtime/base/result.h"
#include "runtime/cri/types.h"

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace farlet::testing {

struct FakeSandbox {
  std::string id;
  cri::SandboxConfig config;  // as it came over the wire
  std::string runtime_handler;
  cri::SandboxState state = cri::SandboxState::kReady;
  WallTime created_at;
  std::vector<std::string> ips;
};

struct FakeContainer {
  std::string id;
  std::string sandbox_id;
  cri::ContainerConfig config;  // as it came over the wire
  cri::ContainerState state = cri::ContainerState::kCreated;
  WallTime created_at;
  WallTime started_at;
  WallTime finished_at;
  int32_t exit_code = 0;
  std::string reason;
  std::string message;
  std::string log_path;  // absolute, "" without one
};

// A container runtime in memory behind a real gRPC server on a unix socket: CRI v1 and containerd's
// event service. It plays by CRI's rules (Stop and Remove of something unknown succeed, a sandbox
// takes its containers along, log files in CRI format), nothing runs. Thread safe.
//
//   FakeCriServer runtime;
//   runtime.AddImage("nginx:1");
//   auto client = cri::ConnectGrpcClient(runtime.endpoint());
//   …
//   runtime.Exit(runtime.FindContainer("web", "main")->id, 3);
class FakeCriServer {
 public:
  struct Options {
    // GetContainerEvents as in containerd 2.x; otherwise kUnimplemented as in 1.6.
    bool cri_events = true;
    // containerd's own event service.
    bool containerd_events = true;
    // Between the announcement of an exit and the state that CRI shows, as in containerd.
    milliseconds exit_lag{0};
    std::string version = "2.0.0-fake";
    std::string cgroup_driver = "cgroupfs";  // "" for kUnimplemented
  };

  FakeCriServer();
  explicit FakeCriServer(Options options);
  ~FakeCriServer();

  FakeCriServer(const FakeCriServer&) = delete;
  FakeCriServer& operator=(const FakeCriServer&) = delete;

  // "unix:///tmp/…"; the folder lives as long as the fake.
  std::string endpoint() const;

  // A crash of the runtime: connections break and the socket is gone; sandboxes and containers stay
  // (Exit() still works, and is announced to nobody). Start() brings it back on the same socket.
  void Stop();
  void Start();
  // Takes effect with the next Start() or the next stream.
  void SetCriEvents(bool enabled);

  // Faults. `rpc` is the CRI method's name ("RunPodSandbox").
  struct Fault {
    enum class When { kBefore, kAfter };  // the call's effect
    std::string rpc;
    When when = When::kBefore;
    // What the call answers; nothing to only delay it.
    std::optional<Error> error;
    milliseconds delay{0};
    // Keeps the call waiting until Release(rpc).
    bool hold = false;
    // How many calls it hits; -1 for all.
    int times = 1;
    // Hits only calls about this: a container's or image's name, a pod's name, or an id.
    std::string subject;
  };

  void Inject(Fault fault);
  void ClearFaults();
  // Lets held calls of the method go, also those to come.
  void Release(const std::string& rpc);
  // How many calls of the method are held now.
  int Held(const std::string& rpc) const;

  // How often a method was called, refused calls included.
  int Calls(const std::string& rpc) const;
  int TotalCalls() const;
  void ResetCalls();

  // Images. A reference without a tag means ":latest".
  struct ImageSpec {
    std::string id;  // "" for one made from the reference
    uint64_t size_bytes = 1000;
    std::optional<int64_t> uid;
    std::string username;
    // Pulling it needs these.
    std::string pull_username;
    std::string pull_password;
    milliseconds pull_takes{0};
    // Pulling it fails with this.
    std::optional<Error> pull_error;
  };

  // Present on the node, and in the registry.
  void AddImage(const std::string& reference);
  void AddImage(const std::string& reference, ImageSpec spec);
  // Only in the registry; replaces what was there, so that a pull can fail first and work later.
  void AddRemoteImage(const std::string& reference, ImageSpec spec);
  bool HasImage(const std::string& reference) const;
  // What PullImage was given last.
  cri::ImageAuth LastAuth() const;

  // What containers with this name (metadata.name) do.
  struct Behavior {
    // Exits by itself with this code after `run_for`.
    std::optional<int32_t> exit_code;
    milliseconds run_for{0};
    // On SIGTERM it exits with `stop_exit_code`, or not at all until it is killed (137).
    int32_t stop_exit_code = 143;
    bool ignore_term = false;
    // Written to its log when it starts, line by line, as stdout.
    std::string output;
  };

  void SetBehavior(const std::string& container_name, Behavior behavior);

  // Lets a running container end; `reason` is "Completed" or "Error" when empty.
  void Exit(const std::string& container_id, int32_t exit_code, const std::string& reason = "");
  // As the kernel would: announced, then exit 137 with reason "OOMKilled".
  void OutOfMemory(const std::string& container_id);
  // The sandbox's own process died.
  void KillSandbox(const std::string& sandbox_id);
  // As containerd does when its caller dies in the middle of StartContainer: for CRI the start has
  // failed, and there is a task that runs and that CRI does not know of. Removing the container
  // fails until the task is ended.
  void LoseTask(const std::string& container_id);
  // How many of them there are.
  size_t LostTasks() const;
  // Appends a line to the container's log, as "stdout" or "stderr".
  void Log(const std::string& container_id,
           const std::string& line,
           const std::string& stream = "stdout");

  // Exists without anybody having created it, for restart and orphan tests.
  std::string AddSandbox(const cri::SandboxConfig& config);
  std::string AddContainer(const std::string& sandbox_id,
                           const cri::ContainerConfig& config,
                           cri::ContainerState state);

  std::vector<FakeSandbox> Sandboxes() const;
  std::vector<FakeContainer> Containers() const;
  std::optional<FakeContainer> Container(const std::string& id) const;
  // The newest sandbox of a pod, the newest container of that name in the pod.
  std::optional<FakeSandbox> FindSandbox(const std::string& pod_name) const;
  std::optional<FakeContainer> FindContainer(const std::string& pod_name,
                                             const std::string& container_name) const;
  int Pulls(const std::string& reference) const;

  // Answers ExecSync; without a handler every command succeeds with no output.
  using ExecHandler = std::function<Result<cri::ExecSyncResult>(
      const FakeContainer& container, const std::vector<std::string>& command)>;
  void SetExec(ExecHandler handler);
  // What Exec, Attach and PortForward answer.
  void SetStreamUrl(const std::string& url);
  cri::StreamOptions LastStream() const;
  // What Status answers; both true at first.
  void SetConditions(std::vector<cri::RuntimeCondition> conditions);
  std::string PodCidr() const;
  // How many event streams are open.
  int EventStreams() const;

 private:
  class Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace farlet::testing
