// Task.Delete: forgets a process that has ended, or a container with all that is left of it.
#include "proto/containerd/events/task/task.pb.h"
#include "runtime/base/log.h"
#include "runtime/shim/task/task_service.h"
#include "runtime/shim/timestamp.h"

#include <fmt/format.h>

#include <utility>

namespace farlet::shim {

namespace task = containerd::task::v2;

namespace {

task::DeleteResponse ResponseOf(const Process& process) {
  task::DeleteResponse response;
  response.set_pid(process.pid);
  if (process.life.exit()) {
    response.set_exit_status(process.life.exit()->status);
    *response.mutable_exited_at() = ToTimestamp(process.life.exit()->at);
  }
  return response;
}

bool Runs(const Process& process) {
  return process.life.state() != Lifecycle::State::kCreated && !process.life.stopped();
}

}  // namespace

void TaskService::Delete(const task::DeleteRequest& request, Reply<task::DeleteResponse> reply) {
  const Result<ContainerPtr> container = Find(request.id());
  const Result<ProcessPtr> process = FindProcess(request.id(), request.exec_id());
  if (!process) {
    reply(process.error());
    return;
  }
  if (Runs(**process)) {
    reply(MakeError(Code::kFailedPrecondition,
                    fmt::format("delete {}: the process is {}", request.id(),
                                StateName((*process)->life.state()))));
    return;
  }
  if (!(*process)->is_init()) {
    DeleteExec(*container, *process, reply);
    return;
  }
  if (std::exchange((*container)->deleting, true)) {
    reply(MakeError(Code::kFailedPrecondition,
                    fmt::format("delete {}: it is being deleted", request.id())));
    return;
  }
  DeleteContainer(*container, std::move(reply));
}

void TaskService::DeleteExec(const ContainerPtr& container,
                             const ProcessPtr& process,
                             const Reply<task::DeleteResponse>& reply) {
  if (process->io) {
    process->io->Close();
  }
  container->execs.erase(process->exec_id);
  const bool started = process->io_started;
  if (const Result<GuestAgent*> agent = Agent(); agent && started) {
    guest::v1::DeleteExecRequest request;
    request.set_container_id(process->container_id);
    request.set_exec_id(process->exec_id);
    (*agent)->Call<guest::v1::DeleteExecResponse>(
        "DeleteExec", request, kGuestDeadline,
        [](const Result<guest::v1::DeleteExecResponse>& deleted) {
          if (!deleted) {
            log::Warning("an exec stays in the guest", {{"error", deleted.error()}});
          }
        });
  }
  reply(ResponseOf(*process));
}

void TaskService::DeleteContainer(const ContainerPtr& container,
                                  Reply<task::DeleteResponse> reply) {
  const Result<GuestAgent*> agent = Agent();
  if (!agent || !container->in_guest()) {
    Forget(container, reply);
    return;
  }
  guest::v1::DeleteContainerRequest request;
  request.set_id(container->id);
  (*agent)->Call<guest::v1::DeleteContainerResponse>(
      "DeleteContainer", request, kGuestDeadline,
      [self = shared_from_this(), container,
       reply = std::move(reply)](const Result<guest::v1::DeleteContainerResponse>& deleted) {
        if (!deleted && self->parts_.pod->state() == Pod::State::kReady) {
          container->deleting = false;
          reply(deleted.error());
          return;
        }
        self->Forget(container, reply);
      });
}

void TaskService::Forget(const ContainerPtr& container, const Reply<task::DeleteResponse>& reply) {
  const ProcessPtr process = container->init;
  if (!process->life.stopped()) {
    // It never ran, and the guest has just killed what waited.
    Settle(process, Exit{.status = 137, .at = parts_.clock.WallNow()});
  }
  if (process->io) {
    process->io->Close();
  }
  for (const auto& [id, exec] : container->execs) {
    if (exec->io) {
      exec->io->Close();
    }
  }
  ReleaseShares(container);
  volumes_->Release(container->id);
  containers_.erase(container->id);
  const task::DeleteResponse response = ResponseOf(*process);
  containerd::events::TaskDelete event;
  event.set_container_id(container->id);
  event.set_pid(response.pid());
  event.set_exit_status(response.exit_status());
  *event.mutable_exited_at() = response.exited_at();
  parts_.events->Publish("/tasks/delete", "containerd.events.TaskDelete", event);
  reply(response);
}

void TaskService::ReleaseShares(const ContainerPtr& container) {
  auto shares = std::exchange(container->shares, {});
  if (shares.empty()) {
    return;
  }
  RunBlocking<void>(
      parts_.threads,
      [machine = parts_.pod->machine(), shares = std::move(shares)]() -> Status {
        for (const auto& path : shares) {
          machine->Unshare(path);
        }
        return {};
      },
      [](const Status& /*done*/) {});
}

}  // namespace farlet::shim
