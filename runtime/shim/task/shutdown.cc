// Task.Shutdown: containerd says so after every deletion; the last container's is meant.
#include "runtime/shim/task/task_service.h"

namespace farlet::shim {

void TaskService::Shutdown(const containerd::task::v2::ShutdownRequest& /*request*/,
                           Reply<Empty> reply) {
  reply(Empty());
  if (containers_.empty() && parts_.on_shutdown) {
    parts_.on_shutdown();
  }
}

}  // namespace farlet::shim
