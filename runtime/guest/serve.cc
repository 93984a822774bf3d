#include "runtime/guest/serve.h"

#include "runtime/base/log.h"
#include "runtime/guest/agent.h"
#include "runtime/guest/boot.h"
#include "runtime/guest/sys.h"
#include "runtime/ttrpc/server.h"
#include "runtime/ttrpc/unix_socket.h"

#include <boost/asio/io_context.hpp>

#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <exception>
#include <thread>
#include <utility>

namespace farlet::guest {
namespace {

// What one peer may cost: long calls of all processes of a pod wait at the same time, their
// answers are small.
ttrpc::Limits AgentLimits(bool port) {
  ttrpc::Limits limits;
  limits.max_open_calls = 8192;
  limits.max_open_bytes = 8u << 20;
  limits.max_connections = 64;
  limits.zero_read_is_end = !port;
  return limits;
}

void Run(boost::asio::io_context& context) {
  while (!context.stopped()) {
    // A handler that throws has lost its own call, not those of the others.
    try {
      context.run();
    } catch (const std::exception& error) {
      log::Error("a call failed", {{"error", error.what()}});
    }
  }
}

[[noreturn]] void EndMachine() {
  ::reboot(RB_AUTOBOOT);
  ::_exit(0);
}

// Ends all that runs below the agent's cgroup and removes it.
void RemoveCgroups(const Cgroup& cgroup) {
  (void)cgroup.KillAll();
  for (int tries = 0; tries < 200 && !cgroup.Remove(); ++tries) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

// PID 1 of the agent's own namespaces.
Status RunInner(const Layout& layout, UniqueFd listener) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  FARLET_TRY(Mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC));
  FARLET_TRY(PrepareMounts(layout));
  return ServeSocket(layout, std::move(listener));
}

Status MakeNamespaces(const Layout& layout, const std::string& cgroup_root) {
  if (::unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWPID) != 0) {
    return ErrnoError(errno, "make namespaces");
  }
  if (::mount("", "/", "", MS_SLAVE | MS_REC, "") != 0) {
    return ErrnoError(errno, "detach from the mounts of the host");
  }
  FARLET_TRY(MountOnce("cgroup2", cgroup_root, "cgroup2", 0));
  FARLET_TRY(MakePath(layout.Share()));
  return Cgroup(layout.cgroup, false).Create(true);
}

// Until the child has ended, or somebody wants us to end it. Errors: how the child failed.
Status WaitFor(pid_t child, const sigset_t& signals) {
  bool wanted = false;
  while (true) {
    int status = 0;
    if (::waitpid(child, &status, WNOHANG) == child) {
      if (wanted || (WIFEXITED(status) && WEXITSTATUS(status) == 0)) {
        return {};
      }
      return Internal(WIFSIGNALED(status)
                          ? "the agent was ended by signal " + std::to_string(WTERMSIG(status))
                          : "the agent ended with an error");
    }
    int signal = 0;
    ::sigwait(&signals, &signal);
    if (signal != SIGCHLD) {
      wanted = true;
      ::kill(child, SIGKILL);
    }
  }
}

}  // namespace

Status ServePort(const Layout& layout, UniqueFd port, pid_t file_relay) {
  boost::asio::io_context context(1);
  ttrpc::Server server(context, AgentLimits(true));
  Agent agent(context, layout, [] { EndMachine(); });
  FARLET_TRY(agent.Start(server));
  agent.WatchHelper(file_relay, "file relay");
  server.Serve(std::move(port), [](const Status& end) {
    // Nobody can reach this pod any more; a VM that ends tells its owner.
    log::Error("the control port broke", {{"error", end ? "" : end.error().message}});
    EndMachine();
  });
  Run(context);
  return {};
}

Status ServeSocket(const Layout& layout, UniqueFd listener) {
  boost::asio::io_context context(1);
  ttrpc::Server server(context, AgentLimits(false));
  Agent agent(context, layout, [&context] { context.stop(); });
  FARLET_TRY(agent.Start(server));
  server.Listen(std::move(listener), {.peer_uid = ::getuid()});
  Run(context);
  return {};
}

Status RunOutsideVm(const std::string& socket, const std::string& root) {
  FARLET_TRY(MakePath(root));
  FARLET_ASSIGN(UniqueFd listener, ttrpc::ListenUnix(socket, 0600));
  const std::string cgroup_root = root + "/cgroup";
  const Layout layout{.run = root,
                      .cgroup = cgroup_root + "/farlet-guest-" + std::to_string(::getpid()),
                      .inside_vm = false};
  FARLET_TRY(MakeNamespaces(layout, cgroup_root));
  sigset_t signals;
  ::sigemptyset(&signals);
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGCHLD}) {
    ::sigaddset(&signals, number);
  }
  ::sigprocmask(SIG_BLOCK, &signals, nullptr);
  const pid_t child = ::fork();
  if (child < 0) {
    return ErrnoError(errno, "start the agent");
  }
  if (child == 0) {
    const Status served = RunInner(layout, std::move(listener));
    if (!served) {
      log::Error("the agent failed", {{"error", served.error()}});
    }
    ::_exit(served ? 0 : 1);
  }
  listener.Close();
  const Status ended = WaitFor(child, signals);
  RemoveCgroups(Cgroup(layout.cgroup, false));
  ::unlink(socket.c_str());
  return ended;
}

}  // namespace farlet::guest
