#include "runtime/base/log.h"
#include "runtime/guest/agent.h"
#include "runtime/guest/checks.h"
#include "runtime/guest/poll.h"
#include "runtime/guest/remove_tree.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <utility>

namespace farlet::guest {
namespace {

// A killed process may still have to wait for a disk or the file server.
constexpr std::chrono::seconds kEndTimeout{20};

}  // namespace

void Agent::DeleteContainer(const v1::DeleteContainerRequest& request,
                            const Answer<v1::DeleteContainerResponse>& answer) {
  if (auto checked = CheckId("container id", request.id()); !checked) {
    answer(std::move(checked).error());
    return;
  }
  const auto found = containers_.find(request.id());
  if (found == containers_.end()) {
    answer(v1::DeleteContainerResponse());
    return;
  }
  Remove(found->second, [answer](const Status& removed) {
    if (!removed) {
      answer(removed.error());
      return;
    }
    answer(v1::DeleteContainerResponse());
  });
}

void Agent::Remove(const std::shared_ptr<Container>& container, StatusCallback done) {
  const auto found = containers_.find(container->id);
  if (found == containers_.end() || found->second != container) {
    done({});  // by somebody else, meanwhile
    return;
  }
  container->removal.push_back(std::move(done));
  if (container->state == ContainerState::kDeleting) {
    return;
  }
  container->state = ContainerState::kDeleting;
  const auto& first = container->first;
  // Together with those that are being born; a frozen container dies as well.
  (void)container->cgroup.KillAll();
  (void)first->Signal(SIGKILL);
  PollUntil(
      context_,
      [container] {
        const auto& process = container->first;
        return (process->exited() || process->pid() <= 0) && !container->cgroup.Populated();
      },
      kEndTimeout, [this, container](bool empty) { FinishRemoval(container, empty); });
}

void Agent::FinishRemoval(const std::shared_ptr<Container>& container, bool empty) {
  Status result;
  if (!empty) {
    result = Unavailable("delete container " + container->id + ": its processes do not end");
  } else if (auto removed = container->cgroup.Remove(); !removed) {
    result = std::move(removed);
  }
  auto waiting = std::exchange(container->removal, {});
  if (!result) {
    // The next Delete tries again.
    container->state = ContainerState::kStopped;
  } else {
    files_.Remove(container->oom_watch);
    container->first->CloseStreams();
    for (const auto& [id, process] : container->execs) {
      process->CloseStreams();
    }
    ClearDisk(container->id);
    containers_.erase(container->id);
  }
  for (const StatusCallback& done : waiting) {
    done(result);
  }
}

void Agent::ClearDisk(const std::string& id) {
  const std::string disk = layout_.ContainerDisk(id);
  // A name that no later container of this id takes.
  static uint64_t count = 0;
  const std::string trash = layout_.Trash() + "/" + std::to_string(++count);
  if (::rename(disk.c_str(), trash.c_str()) != 0) {
    if (errno != ENOENT) {
      log::Warning("cannot move a container's layer away",
                   {{"error", ErrnoError(errno, "rename " + disk)}});
    }
    return;
  }
  // It may be large; nobody waits for it.
  auto launched = Launch({}, [&](ChildSocket& /*socket*/) {
    RemoveTree(trash);
    ::_exit(0);
  });
  if (!launched) {
    log::Warning("cannot delete a container's layer", {{"error", launched.error()}});
  }
}

}  // namespace farlet::guest
