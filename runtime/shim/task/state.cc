// Task.State.
#include "runtime/shim/task/task_service.h"
#include "runtime/shim/timestamp.h"

namespace farlet::shim {

namespace task = containerd::task::v2;

namespace {

task::TaskStatus StatusOf(Lifecycle::State state) {
  switch (state) {
    case Lifecycle::State::kCreated:
    case Lifecycle::State::kStarting:
      return task::TASK_STATUS_CREATED;
    case Lifecycle::State::kRunning:
      return task::TASK_STATUS_RUNNING;
    case Lifecycle::State::kPausing:
      return task::TASK_STATUS_PAUSING;
    case Lifecycle::State::kPaused:
      return task::TASK_STATUS_PAUSED;
    case Lifecycle::State::kStopped:
      return task::TASK_STATUS_STOPPED;
  }
  return task::TASK_STATUS_UNKNOWN;
}

}  // namespace

void TaskService::State(const task::StateRequest& request, Reply<task::StateResponse> reply) {
  const Result<ProcessPtr> found = FindProcess(request.id(), request.exec_id());
  if (!found) {
    reply(found.error());
    return;
  }
  const Process& process = **found;
  task::StateResponse response;
  response.set_id(process.container_id);
  response.set_bundle(containers_.at(request.id())->bundle.string());
  response.set_pid(process.pid);
  response.set_status(StatusOf(process.life.state()));
  response.set_stdin(process.stdio.in);
  response.set_stdout(process.stdio.out);
  response.set_stderr(process.stdio.err);
  response.set_terminal(process.stdio.terminal);
  response.set_exec_id(process.exec_id);
  if (const auto& exit = process.life.exit()) {
    response.set_exit_status(exit->status);
    *response.mutable_exited_at() = ToTimestamp(exit->at);
  }
  reply(std::move(response));
}

}  // namespace farlet::shim
