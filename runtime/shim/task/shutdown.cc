// Task.Shutdown: containerd says so after every deletion, the last container's is meant; and after
// a Create that it has given up. What is still being created then is nobody's.
#include "runtime/shim/task/task_service.h"

#include <algorithm>
#include <utility>

namespace farlet::shim {

void TaskService::Shutdown(const containerd::task::v2::ShutdownRequest& /*request*/,
                           Reply<Empty> reply) {
  const bool in_use = std::any_of(containers_.begin(), containers_.end(),
                                  [](const auto& entry) { return !entry.second->creating; });
  if (in_use || !parts_.on_shutdown) {
    reply(Empty());
    return;
  }
  parts_.on_shutdown([reply = std::move(reply)] { reply(Empty()); });
}

}  // namespace farlet::shim
