// Task.Pause and Task.Resume: a container's processes, or, for a sandbox, the whole VM.
#include "proto/containerd/events/task/task.pb.h"
#include "runtime/shim/task/task_service.h"

#include <utility>

namespace farlet::shim {

namespace task = containerd::task::v2;

void TaskService::Pause(const task::PauseRequest& request, Reply<Empty> reply) {
  SetPaused(request.id(), true, std::move(reply));
}

void TaskService::Resume(const task::ResumeRequest& request, Reply<Empty> reply) {
  SetPaused(request.id(), false, std::move(reply));
}

void TaskService::SetPaused(const std::string& id, bool paused, Reply<Empty> reply) {
  const Result<ContainerPtr> container = Find(id);
  if (!container) {
    reply(container.error());
    return;
  }
  Lifecycle& life = (*container)->init->life;
  const Status begun = paused                                      ? life.BeginPause()
                       : life.state() == Lifecycle::State::kPaused ? Status()
                                                                   : life.Resume();
  if (!begun) {
    reply(Wrap("container " + id, begun.error()));
    return;
  }
  const StatusCallback done = [self = shared_from_this(), container = *container, paused,
                               reply = std::move(reply)](const Status& status) {
    Lifecycle& state = container->init->life;
    if (paused) {
      state.EndPause(status.has_value());
    }
    if (!status) {
      reply(status.error());
      return;
    }
    if (paused) {
      containerd::events::TaskPaused event;
      event.set_container_id(container->id);
      self->parts_.events->Publish("/tasks/paused", "containerd.events.TaskPaused", event);
    } else if (state.Resume()) {
      containerd::events::TaskResumed event;
      event.set_container_id(container->id);
      self->parts_.events->Publish("/tasks/resumed", "containerd.events.TaskResumed", event);
    }
    reply(Empty());
  };
  if (!(*container)->in_guest()) {
    PauseSandbox(*container, paused, done);
    return;
  }
  const Result<GuestAgent*> agent = Agent();
  if (!agent) {
    done(agent.error());
  } else if (paused) {
    guest::v1::PauseRequest request;
    request.set_id(id);
    (*agent)->Call<guest::v1::PauseResponse>(
        "Pause", request, kGuestDeadline, [done](const Result<guest::v1::PauseResponse>& answer) {
          done(answer ? Status() : Status(answer.error()));
        });
  } else {
    guest::v1::ResumeRequest request;
    request.set_id(id);
    (*agent)->Call<guest::v1::ResumeResponse>(
        "Resume", request, kGuestDeadline, [done](const Result<guest::v1::ResumeResponse>& answer) {
          done(answer ? Status() : Status(answer.error()));
        });
  }
}

void TaskService::PauseSandbox(const ContainerPtr& /*container*/,
                               bool paused,
                               StatusCallback done) {
  RunBlocking<void>(
      parts_.threads,
      [machine = parts_.pod->machine(), paused] {
        return paused ? machine->Pause() : machine->Resume();
      },
      std::move(done));
}

}  // namespace farlet::shim
