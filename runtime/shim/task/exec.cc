// Task.Exec: notes a process that Start will start.
#include "proto/containerd/events/task/task.pb.h"
#include "runtime/shim/cli.h"
#include "runtime/shim/spec/container_spec.h"
#include "runtime/shim/task/task_service.h"

#include <fmt/format.h>

#include <utility>

namespace farlet::shim {

namespace task = containerd::task::v2;

namespace {

// Far above what anybody runs at once, far below what would fill the shim's memory.
constexpr size_t kMaxExecs = 512;

Status CheckExec(const Container& container, const task::ExecProcessRequest& request) {
  if (!IsIdentifier(request.exec_id())) {
    return InvalidArgument(fmt::format("exec: \"{}\" is not an identifier", request.exec_id()));
  }
  if (!container.in_guest()) {
    return MakeError(Code::kFailedPrecondition, "exec: a sandbox has no processes");
  }
  if (container.execs.contains(request.exec_id())) {
    return MakeError(Code::kAlreadyExists, fmt::format("exec {}: it exists", request.exec_id()));
  }
  if (container.execs.size() >= kMaxExecs) {
    return MakeError(Code::kResourceExhausted,
                     fmt::format("exec: the container has {} of them", kMaxExecs));
  }
  const auto state = container.init->life.state();
  if (state != Lifecycle::State::kRunning && state != Lifecycle::State::kCreated) {
    return MakeError(Code::kFailedPrecondition,
                     fmt::format("exec: the container is {}", StateName(state)));
  }
  return {};
}

}  // namespace

void TaskService::Exec(const task::ExecProcessRequest& request, Reply<Empty> reply) {
  const Result<ContainerPtr> container = Find(request.id());
  if (!container) {
    reply(container.error());
    return;
  }
  if (const Status valid = CheckExec(**container, request); !valid) {
    reply(Wrap("container " + request.id(), valid.error()));
    return;
  }
  auto spec = ParseProcess(request.spec().value());
  if (!spec) {
    reply(Wrap("exec into container " + request.id(), std::move(spec).error()));
    return;
  }
  const auto process = std::make_shared<Process>();
  process->container_id = request.id();
  process->exec_id = request.exec_id();
  process->stdio = {.in = request.stdin(),
                    .out = request.stdout(),
                    .err = request.stderr(),
                    .terminal = request.terminal(),
                    .id = request.exec_id(),
                    .containerd_namespace = parts_.containerd_namespace};
  process->spec = std::move(*spec);
  process->spec.mutable_rlimits()->Assign((*container)->rlimits.begin(),
                                          (*container)->rlimits.end());
  process->spec.set_terminal(request.terminal());
  process->spec.set_stdin(!request.stdin().empty());
  auto io = ProcessIo::Open(parts_.threads.io, process->stdio, StreamsOf(process));
  if (!io) {
    reply(Wrap("exec into container " + request.id(), std::move(io).error()));
    return;
  }
  process->io = std::move(*io);
  (*container)->execs[process->exec_id] = process;
  containerd::events::TaskExecAdded event;
  event.set_container_id(request.id());
  event.set_exec_id(request.exec_id());
  parts_.events->Publish("/tasks/exec-added", "containerd.events.TaskExecAdded", event);
  reply(Empty());
}

}  // namespace farlet::shim
