#include "runtime/guest/agent.h"

#include <csignal>
#include <utility>

namespace farlet::guest {

Result<v1::SignalResponse> Agent::Signal(const v1::SignalRequest& request) {
  const auto signal = static_cast<int>(request.signal());
  if (request.signal() < 1 || request.signal() > static_cast<uint32_t>(SIGRTMAX)) {
    return InvalidArgument("signal " + std::to_string(request.signal()) + " is not in 1..64");
  }
  if (request.all()) {
    if (!request.exec_id().empty()) {
      return InvalidArgument("signal all: an exec has no group of its own");
    }
    FARLET_ASSIGN(const auto container, Find(request.container_id()));
    FARLET_TRY(container->cgroup.SignalAll(signal));
    return v1::SignalResponse();
  }
  FARLET_ASSIGN(const auto process, Find(request.container_id(), request.exec_id()));
  FARLET_TRY(process->Signal(signal));
  return v1::SignalResponse();
}

void Agent::Wait(const ttrpc::Request& call,
                 const v1::WaitRequest& request,
                 const Answer<v1::WaitResponse>& answer) {
  auto container = Find(request.container_id());
  auto process = Find(request.container_id(), request.exec_id());
  if (!container || !process) {
    answer(std::move(process).error());
    return;
  }
  (*process)->Wait(call.cancellation, [container = *container, answer](const Exit& exit) {
    v1::WaitResponse response;
    response.set_exit_status(exit.status);
    response.set_exited_at_ns(exit.at_ns);
    response.set_oom_killed(container->oom_kills != 0);
    answer(std::move(response));
  });
}

}  // namespace farlet::guest
