// Task.CloseIO.
#include "runtime/shim/task/task_service.h"

namespace farlet::shim {

void TaskService::CloseIo(const containerd::task::v2::CloseIORequest& request, Reply<Empty> reply) {
  const Result<ProcessPtr> process = FindProcess(request.id(), request.exec_id());
  if (!process) {
    reply(process.error());
    return;
  }
  if (request.stdin() && (*process)->io) {
    (*process)->io->CloseInput();
  }
  reply(Empty());
}

}  // namespace farlet::shim
