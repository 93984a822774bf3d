#include "runtime/base/log.h"
#include "runtime/base/undo.h"
#include "runtime/guest/agent.h"
#include "runtime/guest/checks.h"
#include "runtime/guest/container_plan.h"
#include "runtime/guest/remove_tree.h"
#include "runtime/guest/sys.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <utility>

namespace farlet::guest {
namespace {

constexpr size_t kMaxContainers = 128;

// PID 1 of the namespace that containers share: it only adopts and reaps.
[[noreturn]] void RunSandboxInit(ChildSocket& socket) {
  ::prctl(PR_SET_NAME, "sandbox", 0, 0, 0);
  sigset_t all;
  ::sigfillset(&all);
  ::sigprocmask(SIG_BLOCK, &all, nullptr);
  sigset_t child;
  ::sigemptyset(&child);
  ::sigaddset(&child, SIGCHLD);
  socket.SendReady();
  while (true) {
    int signal = 0;
    ::sigwait(&child, &signal);
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
  }
}

}  // namespace

void Agent::CreateContainer(const v1::CreateContainerRequest& request,
                            const Answer<v1::CreateContainerResponse>& answer) {
  if (auto checked = CheckPrepared(); !checked) {
    answer(std::move(checked).error());
    return;
  }
  if (auto checked = CheckContainer(request); !checked) {
    answer(std::move(checked).error());
    return;
  }
  if (containers_.contains(request.id())) {
    answer(MakeError(Code::kAlreadyExists, "container " + request.id() + " exists"));
    return;
  }
  if (containers_.size() == kMaxContainers) {
    answer(MakeError(Code::kResourceExhausted, "create a container: there are too many"));
    return;
  }
  const auto container = std::make_shared<Container>();
  container->id = request.id();
  container->cgroup = Cgroup(pod_.File(request.id()), layout_.inside_vm);
  container->first = std::make_shared<Process>(context_, request.id(), "");
  containers_[request.id()] = container;
  const auto fail = [this, container, answer](const Error& error) {
    Remove(container, [answer, error](const Status& /*removed*/) { answer(error); });
  };
  if (auto launched = LaunchFirst(request, container); !launched) {
    fail(launched.error());
    return;
  }
  container->first->Follow(
      true, [this, container, answer, fail, rules = request.device_rules()](const Status& ready) {
        if (!ready) {
          fail(ready.error());
          return;
        }
        if (container->state != ContainerState::kCreating) {
          answer(Cancelled("create container " + container->id + ": it was deleted meanwhile"));
          return;
        }
        // Not before: mounting a layer is an access to its device too.
        if (auto filtered = device_filters_.Attach(container->cgroup, rules); !filtered) {
          fail(filtered.error());
          return;
        }
        container->state =
            container->first->exited() ? ContainerState::kStopped : ContainerState::kCreated;
        v1::CreateContainerResponse response;
        response.set_pid(static_cast<uint32_t>(container->first->pid()));
        answer(std::move(response));
      });
}

Status Agent::PrepareContainer(const v1::CreateContainerRequest& request, Container& container) {
  for (const v1::Mount& mount : request.mounts()) {
    if (mount.has_empty_dir()) {
      FARLET_TRY(Annotate(MakeEmptyDir(mount.empty_dir()), "emptyDir " + mount.empty_dir().name()));
    }
    if (mount.has_volume() && !volumes_.Committed(mount.volume())) {
      return MakeError(Code::kFailedPrecondition, "mount " + mount.destination() + ": volume " +
                                                      mount.volume() + " has not been synced");
    }
  }
  const std::string disk = layout_.ContainerDisk(request.id());
  for (const char* folder : {"/upper", "/work"}) {
    FARLET_TRY(MakePath(disk + folder));
  }
  FARLET_TRY(container.cgroup.Create(false));
  FARLET_TRY(container.cgroup.Apply(request.resources()));
  container.oom_kills = container.cgroup.Value("memory.events", "oom_kill").value_or(0);
  // Without the memory controller there are no such events.
  auto watch = files_.Add(container.cgroup.File("memory.events"), [this, id = request.id()] {
    if (const auto found = containers_.find(id); found != containers_.end()) {
      CheckOom(*found->second);
    }
  });
  container.oom_watch = watch.value_or(-1);
  return {};
}

Status Agent::LaunchFirst(const v1::CreateContainerRequest& request,
                          const std::shared_ptr<Container>& container) {
  FARLET_ASSIGN(const ContainerPlan plan, MakeContainerPlan(request, layout_));
  FARLET_TRY(PrepareContainer(request, *container));
  container->seccomp = plan.process.seccomp;
  FARLET_ASSIGN(const UniqueFd cgroup, container->cgroup.OpenFolder());
  FARLET_ASSIGN(const UniqueFd pid_namespace, FindPidNamespace(request.namespaces()));
  container->own_pid_namespace = !pid_namespace.valid();
  LaunchSpec spec{
      .namespaces = CLONE_NEWNS, .cgroup = cgroup.get(), .pid_namespace = pid_namespace.get()};
  if (container->own_pid_namespace) {
    spec.namespaces |= CLONE_NEWPID;
  }
  FARLET_TRY(container->first->Launch(
      spec, plan.process.terminal, request.process().stdin(),
      [&](const ChildStdio& stdio, ChildSocket& socket) { RunFirst(plan, stdio, socket); }));
  reaper_.Watch(container->first->pid(),
                [this, container](int status) { FirstEnded(container, status); });
  return {};
}

Result<UniqueFd> Agent::FindPidNamespace(const v1::Namespaces& namespaces) {
  pid_t pid = -1;
  switch (namespaces.pid()) {
    case v1::Namespaces::SANDBOX: {
      FARLET_ASSIGN(pid, SandboxInit());
      break;
    }
    case v1::Namespaces::CONTAINER: {
      FARLET_ASSIGN(const auto target, Find(namespaces.pid_container()));
      if (target->first->exited() || target->first->pid() <= 0) {
        return MakeError(Code::kFailedPrecondition, "share the PID namespace of container " +
                                                        target->id + ": its process does not run");
      }
      pid = target->first->pid();
      break;
    }
    default:
      return UniqueFd();
  }
  return Open("/proc/" + std::to_string(pid) + "/ns/pid", O_RDONLY);
}

Result<pid_t> Agent::SandboxInit() {
  if (sandbox_init_ > 0) {
    return sandbox_init_;
  }
  FARLET_ASSIGN(const auto launched, Launch({.namespaces = CLONE_NEWPID},
                                            [](ChildSocket& socket) { RunSandboxInit(socket); }));
  sandbox_init_ = launched.pid;
  reaper_.Watch(launched.pid, [this](int /*status*/) {
    log::Error("the first process of the shared PID namespace ended");
    sandbox_init_ = -1;
  });
  return sandbox_init_;
}

void Agent::FirstEnded(const std::shared_ptr<Container>& container, int status) {
  if (container->state != ContainerState::kDeleting) {
    container->state = ContainerState::kStopped;
  }
  // In a shared namespace nobody else ends what it left running.
  if (!container->own_pid_namespace) {
    (void)container->cgroup.KillAll();
  }
  CheckOom(*container);
  container->first->Ended(status);
}

void Agent::CheckOom(Container& container) {
  const uint64_t kills = container.cgroup.Value("memory.events", "oom_kill").value_or(0);
  if (kills > container.oom_kills) {
    container.oom_kills = kills;
    ooms_.Push(container.id);
  }
}

}  // namespace farlet::guest
