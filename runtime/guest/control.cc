#include "runtime/guest/agent.h"
#include "runtime/guest/checks.h"
#include "runtime/guest/poll.h"

#include <utility>

namespace farlet::guest {
namespace {

constexpr std::chrono::seconds kFreezeTimeout{5};
constexpr size_t kMaxProcesses = 4096;

}  // namespace

void Agent::SetFrozen(const std::string& id, bool frozen, StatusCallback done) {
  auto found = Find(id);
  if (!found) {
    done(std::move(found).error());
    return;
  }
  const std::shared_ptr<Container> container = *found;
  Status set = Expect(*container, ContainerState::kRunning, frozen ? "pause" : "resume");
  if (set) {
    set = container->cgroup.SetFrozen(frozen);
  }
  if (!set) {
    done(std::move(set));
    return;
  }
  PollUntil(
      context_, [container, frozen] { return container->cgroup.Frozen() == frozen; },
      kFreezeTimeout,
      [container, frozen, done](bool reached) {
        if (reached) {
          done({});
          return;
        }
        if (frozen) {
          // Half a pause would be a container that nobody knows to be stuck.
          (void)container->cgroup.SetFrozen(false);
        }
        done(MakeError(Code::kDeadlineExceeded, std::string(frozen ? "pause" : "resume") +
                                                    " container " + container->id +
                                                    ": its processes do not follow"));
      });
}

void Agent::Pause(const v1::PauseRequest& request, const Answer<v1::PauseResponse>& answer) {
  SetFrozen(request.id(), true, [answer](const Status& done) {
    answer(done ? Result<v1::PauseResponse>(v1::PauseResponse()) : done.error());
  });
}

void Agent::Resume(const v1::ResumeRequest& request, const Answer<v1::ResumeResponse>& answer) {
  SetFrozen(request.id(), false, [answer](const Status& done) {
    answer(done ? Result<v1::ResumeResponse>(v1::ResumeResponse()) : done.error());
  });
}

Result<v1::UpdateResponse> Agent::Update(const v1::UpdateRequest& request) {
  FARLET_ASSIGN(const auto container, Find(request.id()));
  for (const auto& [file, value] : request.resources().unified()) {
    FARLET_TRY(CheckText("unified resources", file, 256));
    FARLET_TRY(CheckText("unified resources", value, 4096));
  }
  FARLET_TRY(container->cgroup.Apply(request.resources()));
  return v1::UpdateResponse();
}

Result<v1::ListProcessesResponse> Agent::ListProcesses(const v1::ListProcessesRequest& request) {
  FARLET_ASSIGN(const auto container, Find(request.id()));
  v1::ListProcessesResponse response;
  for (const pid_t pid : container->cgroup.Processes(kMaxProcesses)) {
    v1::ProcessInfo* info = response.add_processes();
    info->set_pid(static_cast<uint32_t>(pid));
    for (const auto& [exec_id, process] : container->execs) {
      if (process->pid() == pid && !process->exited()) {
        info->set_exec_id(exec_id);
      }
    }
  }
  return response;
}

}  // namespace farlet::guest
