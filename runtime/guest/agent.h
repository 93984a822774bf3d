#pragma once

#include "proto/guest/v1/guest.pb.h"
#include "runtime/base/result.h"
#include "runtime/guest/container.h"
#include "runtime/guest/device_filter.h"
#include "runtime/guest/events.h"
#include "runtime/guest/layout.h"
#include "runtime/guest/reaper.h"
#include "runtime/guest/tcp.h"
#include "runtime/guest/volumes.h"
#include "runtime/ttrpc/server.h"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

namespace farlet::guest {

constexpr uint32_t kProtocolVersion = 1;

// The service farlet.guest.v1.Agent: what each method promises stands in
// proto/guest/v1/guest.proto; each has a file of its own, or shares one with its next of kin. All
// of it runs on one thread and blocks only for what the kernel answers at once; what may touch the
// file server's tree happens in children.
class Agent {
 public:
  template <class T>
  using Answer = std::function<void(Result<T>)>;

  // `stop` ends the machine, or the process outside a VM, after Shutdown's answer.
  Agent(boost::asio::io_context& context, Layout layout, std::function<void()> stop);

  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  // Before the first connection.
  Status Start(ttrpc::Server& server);

  // Logs when this child, which the pod cannot do without, ends.
  void WatchHelper(pid_t pid, std::string name);

 private:
  Result<v1::HelloResponse> Hello(const v1::HelloRequest& request);
  Result<v1::FurnishResponse> Furnish(const v1::FurnishRequest& request);
  Result<v1::PrepareResponse> Prepare(const v1::PrepareRequest& request);
  Result<v1::EndRehearsalResponse> EndRehearsal(const v1::EndRehearsalRequest& request);

  void CreateContainer(const v1::CreateContainerRequest& request,
                       const Answer<v1::CreateContainerResponse>& answer);
  void StartContainer(const v1::StartContainerRequest& request,
                      const Answer<v1::StartContainerResponse>& answer);
  void Exec(const v1::ExecRequest& request, const Answer<v1::ExecResponse>& answer);
  Result<v1::SignalResponse> Signal(const v1::SignalRequest& request);
  void Wait(const ttrpc::Request& call,
            const v1::WaitRequest& request,
            const Answer<v1::WaitResponse>& answer);
  void DeleteExec(const v1::DeleteExecRequest& request,
                  const Answer<v1::DeleteExecResponse>& answer);
  void DeleteContainer(const v1::DeleteContainerRequest& request,
                       const Answer<v1::DeleteContainerResponse>& answer);

  void ReadOutput(const ttrpc::Request& call,
                  const v1::ReadOutputRequest& request,
                  const Answer<v1::ReadOutputResponse>& answer);
  void WriteInput(v1::WriteInputRequest request, const Answer<v1::WriteInputResponse>& answer);
  Result<v1::CloseInputResponse> CloseInput(const v1::CloseInputRequest& request);
  Result<v1::ResizeTerminalResponse> ResizeTerminal(const v1::ResizeTerminalRequest& request);

  void Pause(const v1::PauseRequest& request, const Answer<v1::PauseResponse>& answer);
  void Resume(const v1::ResumeRequest& request, const Answer<v1::ResumeResponse>& answer);
  Result<v1::UpdateResponse> Update(const v1::UpdateRequest& request);
  Result<v1::StatsResponse> Stats(const v1::StatsRequest& request);
  Result<v1::ListProcessesResponse> ListProcesses(const v1::ListProcessesRequest& request);
  Result<v1::PodStatsResponse> PodStats(const v1::PodStatsRequest& request);
  void NextEvents(const ttrpc::Request& call,
                  const v1::NextEventsRequest& request,
                  const Answer<v1::NextEventsResponse>& answer);

  Result<v1::SyncVolumeResponse> SyncVolume(const v1::SyncVolumeRequest& request);

  void OpenTcp(const v1::OpenTcpRequest& request, const Answer<v1::OpenTcpResponse>& answer);
  void ReadTcp(const ttrpc::Request& call,
               const v1::ReadTcpRequest& request,
               const Answer<v1::ReadTcpResponse>& answer);
  void WriteTcp(v1::WriteTcpRequest request, const Answer<v1::WriteTcpResponse>& answer);
  Result<v1::CloseTcpResponse> CloseTcp(const v1::CloseTcpRequest& request);

  void Shutdown(const v1::ShutdownRequest& request, const Answer<v1::ShutdownResponse>& answer);

  // --- shared by several of them

  // Errors: kNotFound.
  Result<std::shared_ptr<Container>> Find(const std::string& id) const;
  Result<std::shared_ptr<Process>> Find(const std::string& id, const std::string& exec_id) const;
  // Errors: kFailedPrecondition naming both states.
  static Status Expect(const Container& container, ContainerState state, std::string_view what);

  // All that is the same for every pod but the disk, once.
  Status Furnish();
  // The writable disk, or a tmpfs in its place, and the folders on it.
  Status MountDisk(const std::string& name);

  // Errors: kFailedPrecondition before Prepare.
  Status CheckPrepared() const;
  Status MakeEmptyDir(const v1::EmptyDir& dir) const;

  // What CreateContainer has to have before the child is born.
  Status PrepareContainer(const v1::CreateContainerRequest& request, Container& container);
  Status LaunchFirst(const v1::CreateContainerRequest& request,
                     const std::shared_ptr<Container>& container);
  // Where the first process is born; -1: in a namespace of its own.
  Result<UniqueFd> FindPidNamespace(const v1::Namespaces& namespaces);
  Result<pid_t> SandboxInit();
  // Errors: why the container can take no further process.
  Status CheckExec(const Container& container, const v1::ExecRequest& request) const;
  Result<std::shared_ptr<Process>> StartExec(const v1::ExecRequest& request);
  void FirstEnded(const std::shared_ptr<Container>& container, int status);

  // Looks at memory.events and queues what is new.
  void CheckOom(Container& container);

  // Kills and removes everything, then answers all who wait for it.
  void Remove(const std::shared_ptr<Container>& container, StatusCallback done);
  void FinishRemoval(const std::shared_ptr<Container>& container, bool empty);
  // Moves a container's part of the disk out of the way and deletes it in a child.
  void ClearDisk(const std::string& id);
  void SetFrozen(const std::string& id, bool frozen, StatusCallback done);

  template <class Req, class Rep>
  void Register(ttrpc::Server& server,
                const char* method,
                Result<Rep> (Agent::*handler)(const Req&));
  template <class Req, class Rep, class Parameter>
  void Register(ttrpc::Server& server,
                const char* method,
                void (Agent::*handler)(Parameter, const Answer<Rep>&));
  template <class Req, class Rep>
  void Register(ttrpc::Server& server,
                const char* method,
                void (Agent::*handler)(const ttrpc::Request&, const Req&, const Answer<Rep>&));

  boost::asio::io_context& context_;
  const Layout layout_;
  const std::function<void()> stop_;
  bool furnished_ = false;
  bool disk_mounted_ = false;
  bool prepared_ = false;
  // What a Prepare has to be taken back of; empty in a pod's life.
  std::optional<v1::PrepareRequest> rehearsal_;
  Reaper reaper_;
  FileWatch files_;
  OomQueue ooms_;
  Volumes volumes_;
  TcpConnections connections_;
  Cgroup pod_;
  DeviceFilters device_filters_;
  std::map<std::string, std::shared_ptr<Container>> containers_;
  // Of the PID namespace that containers share; -1 while none wants it.
  pid_t sandbox_init_ = -1;
};

}  // namespace farlet::guest
