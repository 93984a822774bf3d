// Task.Start: lets the init of a container go, or starts an exec.
#include "proto/containerd/events/task/task.pb.h"
#include "runtime/base/log.h"
#include "runtime/shim/task/task_service.h"

#include <utility>

namespace farlet::shim {

namespace task = containerd::task::v2;

namespace {

// What a shell says of a command that cannot be run.
constexpr uint32_t kCannotRun = 127;

}  // namespace

void TaskService::Start(const task::StartRequest& request, Reply<task::StartResponse> reply) {
  const Result<ContainerPtr> container = Find(request.id());
  const Result<ProcessPtr> process = FindProcess(request.id(), request.exec_id());
  if (!process) {
    reply(process.error());
    return;
  }
  if (const Status begun = (*process)->life.BeginStart(); !begun) {
    reply(Wrap("start container " + request.id(), begun.error()));
    return;
  }
  if ((*process)->is_init()) {
    StartInit(*container, std::move(reply));
  } else {
    StartExec(*process, std::move(reply));
  }
}

void TaskService::StartInit(const ContainerPtr& container, Reply<task::StartResponse> reply) {
  if (!container->in_guest()) {
    Started(container->init, {}, reply);
    return;
  }
  const Result<GuestAgent*> agent = Agent();
  if (!agent) {
    Started(container->init, agent.error(), reply);
    return;
  }
  guest::v1::StartContainerRequest request;
  request.set_id(container->id);
  (*agent)->Call<guest::v1::StartContainerResponse>(
      "StartContainer", request, kGuestDeadline,
      [self = shared_from_this(), process = container->init,
       reply = std::move(reply)](const Result<guest::v1::StartContainerResponse>& started) {
        self->Started(process, started ? Status() : Status(started.error()), reply);
      });
}

void TaskService::StartExec(const ProcessPtr& process, Reply<task::StartResponse> reply) {
  const Result<GuestAgent*> agent = Agent();
  if (!agent) {
    Started(process, agent.error(), reply);
    return;
  }
  guest::v1::ExecRequest request;
  request.set_container_id(process->container_id);
  request.set_exec_id(process->exec_id);
  *request.mutable_process() = std::exchange(process->spec, {});
  if (process->size) {
    *request.mutable_process()->mutable_console_size() = *process->size;
    process->size.reset();
  }
  (*agent)->Call<guest::v1::ExecResponse>(
      "Exec", request, kGuestDeadline,
      [self = shared_from_this(), process,
       reply = std::move(reply)](const Result<guest::v1::ExecResponse>& started) {
        if (started) {
          self->WatchExit(process);
        }
        self->Started(process, started ? Status() : Status(started.error()), reply);
      });
}

void TaskService::Started(const ProcessPtr& process,
                          const Status& status,
                          const Reply<task::StartResponse>& reply) {
  if (!status) {
    log::Info("start", {{"container", process->container_id},
                        {"exec", process->exec_id},
                        {"error", status.error()}});
    const Exit exit{.status = kCannotRun, .at = parts_.clock.WallNow()};
    process->life.FailStart(exit);
    for (const auto& waiting : std::exchange(process->waiting, {})) {
      waiting(*process->life.exit());
    }
    if (process->io) {
      process->io->Close();
    }
    reply(status.error());
    return;
  }
  process->pid = parts_.pod->pid();
  StartStreams(process);
  const std::optional<Exit> held = process->life.EndStart();
  if (process->is_init()) {
    containerd::events::TaskStart event;
    event.set_container_id(process->container_id);
    event.set_pid(process->pid);
    parts_.events->Publish("/tasks/start", "containerd.events.TaskStart", event);
  } else {
    containerd::events::TaskExecStarted event;
    event.set_container_id(process->container_id);
    event.set_exec_id(process->exec_id);
    event.set_pid(process->pid);
    parts_.events->Publish("/tasks/exec-started", "containerd.events.TaskExecStarted", event);
  }
  task::StartResponse response;
  response.set_pid(process->pid);
  reply(std::move(response));
  ApplyKeptSize(process);
  if (held) {
    OnExit(process, *held);
  }
}

void TaskService::StartStreams(const ProcessPtr& process) {
  if (process->io && !std::exchange(process->io_started, true)) {
    process->io->Start();
  }
}

void TaskService::ApplyKeptSize(const ProcessPtr& process) {
  if (!process->size) {
    return;
  }
  task::ResizePtyRequest request;
  request.set_id(process->container_id);
  request.set_exec_id(process->exec_id);
  request.set_width(process->size->columns());
  request.set_height(process->size->rows());
  process->size.reset();
  ResizePty(request, [](const Result<Empty>& /*resized*/) {});
}

}  // namespace farlet::shim
