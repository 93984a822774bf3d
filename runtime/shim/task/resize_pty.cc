// Task.ResizePty. What is told before the start is kept for it.
#include "runtime/shim/task/task_service.h"

#include <fmt/format.h>

#include <utility>

namespace farlet::shim {

namespace task = containerd::task::v2;

void TaskService::ResizePty(const task::ResizePtyRequest& request, Reply<Empty> reply) {
  constexpr uint32_t kMaxSide = 65535;
  const Result<ProcessPtr> process = FindProcess(request.id(), request.exec_id());
  if (!process) {
    reply(process.error());
    return;
  }
  if (request.width() > kMaxSide || request.height() > kMaxSide) {
    reply(InvalidArgument(
        fmt::format("resize to {}x{}: too large", request.width(), request.height())));
    return;
  }
  if (!(*process)->stdio.terminal || request.width() == 0 || request.height() == 0) {
    reply(Empty());
    return;
  }
  const auto state = (*process)->life.state();
  if (state == Lifecycle::State::kCreated || state == Lifecycle::State::kStarting) {
    (*process)->size.emplace();
    (*process)->size->set_columns(request.width());
    (*process)->size->set_rows(request.height());
    reply(Empty());
    return;
  }
  const Result<GuestAgent*> agent = Agent();
  if (!agent) {
    reply(agent.error());
    return;
  }
  guest::v1::ResizeTerminalRequest resize;
  resize.set_container_id(request.id());
  resize.set_exec_id(request.exec_id());
  resize.set_rows(request.height());
  resize.set_columns(request.width());
  (*agent)->Call<guest::v1::ResizeTerminalResponse>(
      "ResizeTerminal", resize, kGuestDeadline,
      [reply = std::move(reply)](const Result<guest::v1::ResizeTerminalResponse>& resized) {
        reply(resized ? Result<Empty>(Empty()) : Result<Empty>(resized.error()));
      });
}

}  // namespace farlet::shim
