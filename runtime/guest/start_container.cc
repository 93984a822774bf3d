#include "runtime/guest/agent.h"

#include <utility>

namespace farlet::guest {

void Agent::StartContainer(const v1::StartContainerRequest& request,
                           const Answer<v1::StartContainerResponse>& answer) {
  auto found = Find(request.id());
  if (!found) {
    answer(std::move(found).error());
    return;
  }
  const std::shared_ptr<Container> container = *found;
  if (auto expected = Expect(*container, ContainerState::kCreated, "start"); !expected) {
    answer(std::move(expected).error());
    return;
  }
  container->state = ContainerState::kRunning;
  // After an error the process ends by itself and the container is stopped.
  container->first->Go([answer](const Status& started) {
    if (!started) {
      answer(started.error());
      return;
    }
    answer(v1::StartContainerResponse());
  });
}

}  // namespace farlet::guest
