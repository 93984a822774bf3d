// Task.Update: a container's limits. A sandbox's are its cgroup's on the host, which is not ours.
#include "runtime/shim/spec/container_spec.h"
#include "runtime/shim/task/task_service.h"

#include <utility>

namespace farlet::shim {

void TaskService::Update(const containerd::task::v2::UpdateTaskRequest& request,
                         Reply<Empty> reply) {
  const Result<ContainerPtr> container = Find(request.id());
  if (!container) {
    reply(container.error());
    return;
  }
  auto resources = ParseResources(request.resources().value());
  if (!resources) {
    reply(Wrap("update container " + request.id(), std::move(resources).error()));
    return;
  }
  if (!(*container)->in_guest()) {
    reply(Empty());
    return;
  }
  const Result<GuestAgent*> agent = Agent();
  if (!agent) {
    reply(agent.error());
    return;
  }
  guest::v1::UpdateRequest update;
  update.set_id(request.id());
  *update.mutable_resources() = std::move(*resources);
  (*agent)->Call<guest::v1::UpdateResponse>(
      "Update", update, kGuestDeadline,
      [reply = std::move(reply)](const Result<guest::v1::UpdateResponse>& updated) {
        reply(updated ? Result<Empty>(Empty()) : Result<Empty>(updated.error()));
      });
}

}  // namespace farlet::shim
