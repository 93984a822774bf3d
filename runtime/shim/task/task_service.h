#pragma once

#include "proto/containerd/task/v2/task.pb.h"
#include "proto/containerd/types/wellknown.pb.h"
#include "runtime/base/clock.h"
#include "runtime/shim/background.h"
#include "runtime/shim/events.h"
#include "runtime/shim/pod.h"
#include "runtime/shim/spec/container_spec.h"
#include "runtime/shim/spec/host_facts.h"
#include "runtime/shim/task/task.h"
#include "runtime/shim/volumes.h"
#include "runtime/ttrpc/server.h"

#include <functional>
#include <map>
#include <memory>
#include <string>

namespace farlet::shim {

// containerd's task service (runtime v2) for the containers of one pod. Each method stands in a
// file of its own, create.cc to shutdown.cc; what they share is in task_service.cc and exit.cc.
//
// Events of a container come in this order: create, start, exit, delete; those of an exec: added,
// started, exit. Replies are sent after the events that belong to them were queued.
//
// Everything runs on the I/O thread; nothing waits. An operation that asks the guest goes on in the
// answer's callback and looks again whether its container is still there.
class TaskService final : public std::enable_shared_from_this<TaskService> {
 public:
  template <class Message>
  using Reply = ttrpc::Server::TypedReply<Message>;
  using Empty = wkt::Empty;
  using ContainerPtr = std::shared_ptr<Container>;
  using ProcessPtr = std::shared_ptr<Process>;

  struct Parts {
    Threads threads;
    std::shared_ptr<Pod> pod;
    std::shared_ptr<EventPublisher> events;
    const Clock& clock;
    const HostFacts& facts;
    std::string containerd_namespace;
    bool cgroup_v2 = false;  // of the host: decides the kind of metrics
    // containerd is done with this shim, and waits until `done` is called.
    std::function<void(std::function<void()> done)> on_shutdown;
  };

  explicit TaskService(Parts parts);

  // Under both names of the service. Once, before the server listens.
  void Register(ttrpc::Server& server);

  bool empty() const { return containers_.empty(); }

  // ---- The methods ----
  void Create(containerd::task::v2::CreateTaskRequest request,
              Reply<containerd::task::v2::CreateTaskResponse> reply);
  void Start(const containerd::task::v2::StartRequest& request,
             Reply<containerd::task::v2::StartResponse> reply);
  void Delete(const containerd::task::v2::DeleteRequest& request,
              Reply<containerd::task::v2::DeleteResponse> reply);
  void Exec(const containerd::task::v2::ExecProcessRequest& request, Reply<Empty> reply);
  void ResizePty(const containerd::task::v2::ResizePtyRequest& request, Reply<Empty> reply);
  void State(const containerd::task::v2::StateRequest& request,
             Reply<containerd::task::v2::StateResponse> reply);
  void Pause(const containerd::task::v2::PauseRequest& request, Reply<Empty> reply);
  void Resume(const containerd::task::v2::ResumeRequest& request, Reply<Empty> reply);
  void Kill(const containerd::task::v2::KillRequest& request, Reply<Empty> reply);
  void Pids(const containerd::task::v2::PidsRequest& request,
            Reply<containerd::task::v2::PidsResponse> reply);
  void CloseIo(const containerd::task::v2::CloseIORequest& request, Reply<Empty> reply);
  void Update(const containerd::task::v2::UpdateTaskRequest& request, Reply<Empty> reply);
  void Wait(const containerd::task::v2::WaitRequest& request,
            Reply<containerd::task::v2::WaitResponse> reply);
  void Stats(const containerd::task::v2::StatsRequest& request,
             Reply<containerd::task::v2::StatsResponse> reply);
  void Connect(const containerd::task::v2::ConnectRequest& request,
               Reply<containerd::task::v2::ConnectResponse> reply);
  void Shutdown(const containerd::task::v2::ShutdownRequest& request, Reply<Empty> reply);

 private:
  friend class CreateOperation;

  // kNotFound, also for one that is still being created.
  Result<ContainerPtr> Find(const std::string& id) const;
  Result<ProcessPtr> FindProcess(const std::string& id, const std::string& exec_id) const;
  // kUnavailable with the reason when the VM is gone.
  Result<GuestAgent*> Agent() const;
  GuestStreams StreamsOf(const ProcessPtr& process) const;

  void StartInit(const ContainerPtr& container, Reply<containerd::task::v2::StartResponse> reply);
  void StartExec(const ProcessPtr& process, Reply<containerd::task::v2::StartResponse> reply);
  void Started(const ProcessPtr& process,
               const Status& status,
               const Reply<containerd::task::v2::StartResponse>& reply);
  void StartStreams(const ProcessPtr& process);
  void ApplyKeptSize(const ProcessPtr& process);

  void DeleteExec(const ContainerPtr& container,
                  const ProcessPtr& process,
                  const Reply<containerd::task::v2::DeleteResponse>& reply);
  void DeleteContainer(const ContainerPtr& container,
                       Reply<containerd::task::v2::DeleteResponse> reply);
  void Forget(const ContainerPtr& container,
              const Reply<containerd::task::v2::DeleteResponse>& reply);
  // Gives back what the container holds on the host.
  void ReleaseShares(const ContainerPtr& container);

  void KillSandbox(const ContainerPtr& container, uint32_t signal);
  void SetPaused(const std::string& id, bool paused, Reply<Empty> reply);
  void PauseSandbox(const ContainerPtr& container, bool paused, StatusCallback done);

  // ---- Ends of processes: exit.cc ----
  // Follows the guest's process to its end.
  void WatchExit(const ProcessPtr& process);
  // It has ended: told once its output is copied and its start is told.
  void OnExit(const ProcessPtr& process, const Exit& exit);
  void Settle(const ProcessPtr& process, const Exit& exit);
  void PublishExit(const ProcessPtr& process, const Exit& exit);
  void TellOom(const ContainerPtr& container);
  void WatchGuestEvents();
  // The VM is gone: everything in it has exited with 137.
  void OnPodGone(const std::string& reason);

  const Parts parts_;
  std::shared_ptr<VolumeReplicator> volumes_;
  std::map<std::string, ContainerPtr> containers_;
  bool watching_guest_ = false;
};

}  // namespace farlet::shim
