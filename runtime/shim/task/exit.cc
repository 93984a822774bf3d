// Ends of processes.
#include "proto/containerd/events/task/task.pb.h"
#include "runtime/base/log.h"
#include "runtime/shim/task/task_service.h"
#include "runtime/shim/timestamp.h"

#include <utility>

namespace farlet::shim {
namespace {

namespace events = ::containerd::events;

// SIGKILL's: what containerd makes of a shim that is gone, too.
constexpr uint32_t kKilled = 137;
constexpr uint32_t kUnknownExit = 255;

}  // namespace

void TaskService::WatchExit(const ProcessPtr& process) {
  const Result<GuestAgent*> agent = Agent();
  if (!agent) {
    OnExit(process, Exit{.status = kKilled, .at = parts_.clock.WallNow()});
    return;
  }
  guest::v1::WaitRequest request;
  request.set_container_id(process->container_id);
  request.set_exec_id(process->exec_id);
  (*agent)->Call<guest::v1::WaitResponse>(
      "Wait", request, kNoDeadline,
      [self = shared_from_this(), process](const Result<guest::v1::WaitResponse>& answer) {
        // The guest's clock is the tenant's to lie about; ours is not.
        Exit exit{.status = kUnknownExit, .at = self->parts_.clock.WallNow()};
        if (answer) {
          exit.status = answer->exit_status();
          exit.oom_killed = answer->oom_killed();
        } else if (self->parts_.pod->state() != Pod::State::kReady ||
                   answer.error().code == Code::kUnavailable) {
          exit.status = kKilled;  // the VM is gone, or about to
        } else {
          log::Warning("a process ended in an unknown way", {{"container", process->container_id},
                                                             {"exec", process->exec_id},
                                                             {"error", answer.error()}});
        }
        self->OnExit(process, exit);
      });
}

void TaskService::OnExit(const ProcessPtr& process, const Exit& exit) {
  if (process->life.state() == Lifecycle::State::kStarting) {
    process->life.Exited(exit);  // held; Started() comes back to it
    return;
  }
  if (!process->io || !process->io_started) {
    Settle(process, exit);
    return;
  }
  process->io->WhenCopied(
      [self = shared_from_this(), process, exit] { self->Settle(process, exit); });
}

void TaskService::Settle(const ProcessPtr& process, const Exit& exit) {
  if (!process->life.Exited(exit)) {
    return;
  }
  PublishExit(process, exit);
  for (const auto& waiting : std::exchange(process->waiting, {})) {
    waiting(exit);
  }
  if (process->io && process->is_init()) {
    process->io->Close();
  }
}

void TaskService::PublishExit(const ProcessPtr& process, const Exit& exit) {
  const auto container = containers_.find(process->container_id);
  if (exit.oom_killed && process->is_init() && container != containers_.end()) {
    TellOom(container->second);
  }
  events::TaskExit event;
  event.set_container_id(process->container_id);
  event.set_id(process->is_init() ? process->container_id : process->exec_id);
  event.set_pid(process->pid);
  event.set_exit_status(exit.status);
  *event.mutable_exited_at() = ToTimestamp(exit.at);
  parts_.events->Publish("/tasks/exit", "containerd.events.TaskExit", event);
}

// CRI makes the reason OOMKilled of it, so it has to come before the exit.
void TaskService::TellOom(const ContainerPtr& container) {
  if (std::exchange(container->oom_told, true)) {
    return;
  }
  events::TaskOOM event;
  event.set_container_id(container->id);
  parts_.events->Publish("/tasks/oom", "containerd.events.TaskOOM", event);
}

void TaskService::WatchGuestEvents() {
  const Result<GuestAgent*> agent = Agent();
  if (!agent) {
    watching_guest_ = false;
    return;
  }
  watching_guest_ = true;
  (*agent)->Call<guest::v1::NextEventsResponse>(
      "NextEvents", guest::v1::NextEventsRequest(), kNoDeadline,
      [self = shared_from_this()](const Result<guest::v1::NextEventsResponse>& answer) {
        if (!answer) {
          // Exits still carry what matters of it.
          self->watching_guest_ = false;
          log::Debug("no more events of the guest", {{"error", answer.error()}});
          return;
        }
        for (const auto& event : answer->events()) {
          const auto found = self->Find(event.oom().container_id());
          if (event.has_oom() && found && !(*found)->init->life.stopped()) {
            self->TellOom(*found);
          }
        }
        self->WatchGuestEvents();
      });
}

void TaskService::OnPodGone(const std::string& reason) {
  log::Info("the pod's VM is gone", {{"reason", reason}});
  const Exit exit{.status = kKilled, .at = parts_.clock.WallNow()};
  // Waiters may delete containers, so they are walked in a copy. The sandbox goes last.
  auto containers = containers_;
  for (const bool sandboxes : {false, true}) {
    for (const auto& [id, container] : containers) {
      if (container->creating || container->in_guest() == sandboxes) {
        continue;
      }
      for (const auto& [exec_id, process] : container->execs) {
        OnExit(process, exit);
      }
      OnExit(container->init, exit);
    }
  }
}

}  // namespace farlet::shim
