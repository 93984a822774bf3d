// Task.Kill.
#include "runtime/base/log.h"
#include "runtime/shim/task/task_service.h"

#include <fmt/format.h>

#include <csignal>
#include <utility>

namespace farlet::shim {

namespace task = containerd::task::v2;

namespace {

constexpr uint32_t kMaxSignal = 64;

// Signals that end a process unless it says otherwise, and a sandbox says nothing.
bool Ends(uint32_t signal) {
  return signal != 0 && signal != SIGCHLD && signal != SIGCONT && signal != SIGURG &&
         signal != SIGWINCH && signal != SIGSTOP && signal != SIGTSTP && signal != SIGTTIN &&
         signal != SIGTTOU;
}

}  // namespace

void TaskService::Kill(const task::KillRequest& request, Reply<Empty> reply) {
  const Result<ProcessPtr> process = FindProcess(request.id(), request.exec_id());
  if (!process) {
    reply(process.error());
    return;
  }
  if (request.signal() > kMaxSignal) {
    reply(InvalidArgument(fmt::format("kill: signal {}", request.signal())));
    return;
  }
  if ((*process)->life.stopped()) {
    // Who stops a container may be late; other signals were meant for somebody alive.
    const bool stopping = request.signal() == SIGTERM || request.signal() == SIGKILL;
    reply(stopping ? Result<Empty>(Empty())
                   : Result<Empty>(NotFound("kill: the process has ended already")));
    return;
  }
  const ContainerPtr container = containers_.at(request.id());
  if (!container->in_guest()) {
    if (Ends(request.signal())) {
      KillSandbox(container, request.signal());
    }
    reply(Empty());
    return;
  }
  if (!(*process)->is_init() && (*process)->life.state() == Lifecycle::State::kCreated) {
    reply(MakeError(Code::kFailedPrecondition,
                    fmt::format("kill exec {}: not started", request.exec_id())));
    return;
  }
  const Result<GuestAgent*> agent = Agent();
  const bool ends = request.signal() == SIGTERM || request.signal() == SIGKILL;
  if (!agent || request.signal() == 0) {
    reply(agent || ends ? Result<Empty>(Empty()) : Result<Empty>(agent.error()));
    return;
  }
  guest::v1::SignalRequest signal;
  signal.set_container_id(request.id());
  signal.set_exec_id(request.exec_id());
  signal.set_signal(request.signal());
  signal.set_all(request.all() && request.exec_id().empty());
  (*agent)->Call<guest::v1::SignalResponse>(
      "Signal", signal, kGuestDeadline,
      [reply = std::move(reply), ends](const Result<guest::v1::SignalResponse>& signalled) {
        // The VM dies, and all in it: what was asked for happens anyway.
        const bool lost = !signalled && signalled.error().code == Code::kUnavailable;
        reply(signalled || (lost && ends) ? Result<Empty>(Empty())
                                          : Result<Empty>(signalled.error()));
      });
}

// The exit is told before the VM is taken down, which may take longer than containerd waits.
void TaskService::KillSandbox(const ContainerPtr& container, uint32_t signal) {
  constexpr uint32_t kSignalled = 128;
  OnExit(container->init, Exit{.status = kSignalled + signal, .at = parts_.clock.WallNow()});
  parts_.pod->Kill();
}

}  // namespace farlet::shim
