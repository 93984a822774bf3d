// Task.Connect: who serves a container; containerd asks to see whether the shim lives.
#include "runtime/shim/task/task_service.h"

#include <unistd.h>

#include <utility>

namespace farlet::shim {

namespace task = containerd::task::v2;

void TaskService::Connect(const task::ConnectRequest& request, Reply<task::ConnectResponse> reply) {
  task::ConnectResponse response;
  response.set_shim_pid(static_cast<uint32_t>(::getpid()));
  if (const Result<ContainerPtr> container = Find(request.id())) {
    response.set_task_pid((*container)->init->pid);
  }
  reply(std::move(response));
}

}  // namespace farlet::shim
