// Task.Shutdown: containerd says so after every deletion; the last container's is meant.
#include "runtime/shim/task/task_service.h"

#include <utility>

namespace farlet::shim {

void TaskService::Shutdown(const containerd::task::v2::ShutdownRequest& /*request*/,
                           Reply<Empty> reply) {
  if (!containers_.empty() || !parts_.on_shutdown) {
    reply(Empty());
    return;
  }
  parts_.on_shutdown([reply = std::move(reply)] { reply(Empty()); });
}

}  // namespace farlet::shim
