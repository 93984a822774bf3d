#include "runtime/base/file.h"
#include "runtime/guest/agent.h"
#include "runtime/guest/checks.h"
#include "runtime/guest/sys.h"

#include <fcntl.h>

#include <csignal>
#include <utility>

namespace farlet::guest {
namespace {

// In the pod, also those that ended and were not deleted.
constexpr size_t kMaxExecs = 1024;

// Children of the agent are born in the cgroup; where the container has split its own, no process
// may be in the parts' parent, so they go where the first process is.
Result<UniqueFd> OpenCgroup(const Container& container, const Layout& layout) {
  if (container.cgroup.Text("cgroup.subtree_control").find_first_not_of('\n') ==
      std::string::npos) {
    return container.cgroup.OpenFolder();
  }
  FARLET_ASSIGN(const std::string text,
                ReadFile("/proc/" + std::to_string(container.first->pid()) + "/cgroup"));
  // "0::/pod/ID/part", by the agent's view, whose root is at layout.cgroup.
  const size_t pod = text.find("/pod/" + container.id);
  if (!text.starts_with("0::") || pod == std::string::npos) {
    return container.cgroup.OpenFolder();
  }
  return Open(layout.cgroup + text.substr(pod, text.find('\n') - pod), O_PATH | O_DIRECTORY);
}

}  // namespace

Status Agent::CheckExec(const Container& container, const v1::ExecRequest& request) const {
  FARLET_TRY(CheckId("exec id", request.exec_id()));
  FARLET_TRY(CheckProcess(request.process()));
  if (container.execs.contains(request.exec_id())) {
    return MakeError(Code::kAlreadyExists,
                     "container " + container.id + ": exec " + request.exec_id() + " exists");
  }
  size_t count = 0;
  for (const auto& [id, other] : containers_) {
    count += other->execs.size();
  }
  if (count >= kMaxExecs) {
    return MakeError(Code::kResourceExhausted, "exec: there are too many in the pod");
  }
  FARLET_TRY(Expect(container, ContainerState::kRunning, "exec"));
  // The new process would be born frozen.
  if (container.cgroup.Frozen()) {
    return MakeError(Code::kFailedPrecondition, "exec: container " + container.id + " is paused");
  }
  return {};
}

Result<std::shared_ptr<Process>> Agent::StartExec(const v1::ExecRequest& request) {
  FARLET_ASSIGN(const auto container, Find(request.container_id()));
  FARLET_TRY(CheckExec(*container, request));
  FARLET_ASSIGN(const ProcessPlan plan, MakeProcessPlan(request.process(), container->seccomp));
  FARLET_ASSIGN(const UniqueFd first, container->first->Open());
  FARLET_ASSIGN(const UniqueFd cgroup, OpenCgroup(*container, layout_));
  FARLET_ASSIGN(const UniqueFd pid_namespace,
                Open("/proc/" + std::to_string(container->first->pid()) + "/ns/pid", O_RDONLY));
  auto process = std::make_shared<Process>(context_, container->id, request.exec_id());
  FARLET_TRY(process->Launch(
      {.cgroup = cgroup.get(), .pid_namespace = pid_namespace.get(), .keep = {first.get()}},
      plan.terminal, request.process().stdin(), [&](const ChildStdio& stdio, ChildSocket& socket) {
        RunExec(plan, first.get(), stdio, socket);
      }));
  container->execs[request.exec_id()] = process;
  reaper_.Watch(process->pid(), [this, container, process](int status) {
    CheckOom(*container);
    process->Ended(status);
  });
  return process;
}

void Agent::Exec(const v1::ExecRequest& request, const Answer<v1::ExecResponse>& answer) {
  auto started = StartExec(request);
  if (!started) {
    answer(std::move(started).error());
    return;
  }
  const std::shared_ptr<Process> process = *started;
  process->Follow(false, [this, process, answer](const Status& ready) {
    if (!ready) {
      // It ends, or hangs, without anybody knowing its id.
      (void)process->Signal(SIGKILL);
      process->CloseStreams();
      if (const auto found = containers_.find(process->container_id());
          found != containers_.end()) {
        std::erase_if(found->second->execs,
                      [&](const auto& entry) { return entry.second == process; });
      }
      answer(ready.error());
      return;
    }
    v1::ExecResponse response;
    response.set_pid(static_cast<uint32_t>(process->pid()));
    answer(std::move(response));
  });
}

void Agent::DeleteExec(const v1::DeleteExecRequest& request,
                       const Answer<v1::DeleteExecResponse>& answer) {
  auto container = Find(request.container_id());
  if (!container) {
    answer(std::move(container).error());
    return;
  }
  const auto found = (*container)->execs.find(request.exec_id());
  if (found == (*container)->execs.end()) {
    answer(v1::DeleteExecResponse());
    return;
  }
  const std::shared_ptr<Process> process = found->second;
  (void)process->Signal(SIGKILL);
  process->Wait({}, [container = *container, process, answer](const Exit& /*exit*/) {
    process->CloseStreams();
    std::erase_if(container->execs, [&](const auto& entry) { return entry.second == process; });
    answer(v1::DeleteExecResponse());
  });
}

}  // namespace farlet::guest
