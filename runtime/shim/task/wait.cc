// Task.Wait: may come before Start, and blocks for as long as the process lives.
#include "runtime/shim/task/task_service.h"
#include "runtime/shim/timestamp.h"

#include <utility>

namespace farlet::shim {

namespace task = containerd::task::v2;

void TaskService::Wait(const task::WaitRequest& request, Reply<task::WaitResponse> reply) {
  const Result<ProcessPtr> process = FindProcess(request.id(), request.exec_id());
  if (!process) {
    reply(process.error());
    return;
  }
  auto answer = [reply = std::move(reply)](const Exit& exit) {
    task::WaitResponse response;
    response.set_exit_status(exit.status);
    *response.mutable_exited_at() = ToTimestamp(exit.at);
    reply(std::move(response));
  };
  if ((*process)->life.stopped()) {
    answer(*(*process)->life.exit());
    return;
  }
  // Bounded by the calls that may be open on a connection.
  (*process)->waiting.emplace_back(std::move(answer));
}

}  // namespace farlet::shim
