#include "runtime/guest/child.h"

#include "runtime/base/c_strings.h"
#include "runtime/base/file.h"
#include "runtime/guest/rootfs.h"
#include "runtime/guest/sys.h"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace farlet::guest {
namespace {

constexpr const char* kDefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// Makes `fd` the standard streams `from` to `to`.
Status UseAs(int fd, int from, int to) {
  for (int target = from; target <= to; ++target) {
    if (fd == target) {
      ::fcntl(fd, F_SETFD, 0);
    } else if (::dup2(fd, target) < 0) {
      return ErrnoError(errno, "set the standard streams");
    }
  }
  return {};
}

// Programs open /dev/stdout again by their own user.
void GiveTo(const ProcessPlan& plan, int fd) {
  struct stat info {};

  if (::fstat(fd, &info) == 0 && info.st_uid != plan.uid && !S_ISDIR(info.st_mode) &&
      (S_ISFIFO(info.st_mode) || ::isatty(fd) == 1)) {
    (void)::fchown(fd, plan.uid, static_cast<gid_t>(-1));
  }
}

// A terminal of the container's own devpts becomes the controlling one.
Status OpenTerminal(const ProcessPlan& plan, bool console, ChildSocket& socket) {
  FARLET_ASSIGN(const UniqueFd master, Open("/dev/ptmx", O_RDWR | O_NOCTTY));
  int unlock = 0;
  if (::ioctl(master.get(), TIOCSPTLCK, &unlock) != 0) {
    return ErrnoError(errno, "unlock the terminal");
  }
  const UniqueFd slave(::ioctl(master.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY));
  if (!slave.valid()) {
    return ErrnoError(errno, "open the terminal");
  }
  if (plan.rows != 0 && plan.columns != 0) {
    const winsize size{.ws_row = plan.rows, .ws_col = plan.columns};
    ::ioctl(master.get(), TIOCSWINSZ, &size);
  }
  if (console) {
    unsigned number = 0;
    ::ioctl(master.get(), TIOCGPTN, &number);
    const std::string path = "/dev/pts/" + std::to_string(number);
    FARLET_TRY(Open("/dev/console", O_WRONLY | O_CREAT | O_NOCTTY | O_NONBLOCK, 0600));
    FARLET_TRY(Mount(path, "/dev/console", "", MS_BIND));
  }
  socket.SendTerminal(master.get());
  if (::ioctl(slave.get(), TIOCSCTTY, 0) != 0) {
    return ErrnoError(errno, "make the terminal the controlling one");
  }
  return UseAs(slave.get(), 0, 2);
}

Status SetStdio(const ProcessPlan& plan, const ChildStdio& stdio, bool first, ChildSocket& socket) {
  if (plan.terminal) {
    FARLET_TRY(OpenTerminal(plan, first, socket));
  } else {
    FARLET_TRY(UseAs(stdio.in, 0, 0));
    FARLET_TRY(UseAs(stdio.out, 1, 1));
    FARLET_TRY(UseAs(stdio.err, 2, 2));
  }
  for (int fd = 0; fd <= 2; ++fd) {
    GiveTo(plan, fd);
  }
  return {};
}

Status SetUser(const ProcessPlan& plan) {
  FARLET_TRY(LimitBoundingSet(plan.capabilities.bounding));
  if (::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) {
    return ErrnoError(errno, "keep capabilities over the change of user");
  }
  // Directly, not by glibc's wrappers for threads.
  if (::syscall(SYS_setgroups, plan.groups.size(), plan.groups.data()) != 0) {
    return ErrnoError(errno, "set the groups");
  }
  if (::syscall(SYS_setresgid, plan.gid, plan.gid, plan.gid) != 0) {
    return ErrnoError(errno, "set group " + std::to_string(plan.gid));
  }
  if (::syscall(SYS_setresuid, plan.uid, plan.uid, plan.uid) != 0) {
    return ErrnoError(errno, "set user " + std::to_string(plan.uid));
  }
  ::prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0);
  return SetCapabilities(plan.capabilities);
}

Status ChangeFolder(const ProcessPlan& plan) {
  if (::chdir(plan.cwd.c_str()) != 0) {
    return ErrnoError(errno, "change to working folder " + plan.cwd);
  }
  return {};
}

// A session keyring of its own, so that the agent's and other containers' are not inherited.
void JoinKeyring() {
  ::syscall(SYS_keyctl, 1 /* KEYCTL_JOIN_SESSION_KEYRING */, nullptr);
}

// From a process that is inside the container to one that is the container's: whatever needs
// privileges first.
Status BecomeContainers(const ProcessPlan& plan) {
  JoinKeyring();
  FARLET_TRY(SetRlimits(plan.rlimits));
  ::umask(plan.umask);
  // The folder may be one that only the user, or only root, can enter.
  const bool entered = ::chdir(plan.cwd.c_str()) == 0;
  if (plan.seccomp != nullptr && !plan.no_new_privileges) {
    FARLET_TRY(InstallSeccomp(*plan.seccomp));
  }
  FARLET_TRY(SetUser(plan));
  if (!entered) {
    FARLET_TRY(ChangeFolder(plan));
  }
  if (plan.no_new_privileges && ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return ErrnoError(errno, "set no_new_privs");
  }
  return {};
}

// Fills in HOME; PATH has no default in the program's environment, only in the search.
std::vector<std::string> MakeEnv(const ProcessPlan& plan) {
  std::vector<std::string> env = plan.env;
  if (!FindEnv(env, "HOME")) {
    const auto passwd = ReadFile("/etc/passwd", 1u << 20);
    env.push_back("HOME=" + HomeFolder(passwd ? *passwd : "", plan.uid));
  }
  return env;
}

// A session of its own, and what is written in the agent's /proc: the container may have none.
Status LeaveAgent(const ProcessPlan& plan) {
  if (::setsid() < 0) {
    return ErrnoError(errno, "start a session");
  }
  return WriteKernelFile("/proc/self/oom_score_adj", std::to_string(plan.oom_score_adj));
}

[[noreturn]] void Fail(ChildSocket& socket, const Error& error) {
  socket.SendError(error);
  ::_exit(255);
}

// The last steps; `wait` for Go before the exec.
[[noreturn]] void Execute(const ProcessPlan& plan, bool wait, ChildSocket& socket) {
  std::vector<std::string> env = MakeEnv(plan);
  if (auto done = BecomeContainers(plan); !done) {
    Fail(socket, done.error());
  }
  const auto program =
      FindExecutable(plan.args.front(), FindEnv(env, "PATH").value_or(kDefaultPath));
  if (!program) {
    Fail(socket, program.error());
  }
  std::vector<std::string> args = plan.args;
  const std::vector<char*> argv = CStrings(args);
  const std::vector<char*> envp = CStrings(env);
  socket.SendReady();
  if (wait && !socket.WaitForGo()) {
    ::_exit(255);
  }
  // Last, so that a narrow filter needs to allow little more than the exec.
  if (plan.seccomp != nullptr && plan.no_new_privileges) {
    if (auto done = InstallSeccomp(*plan.seccomp); !done) {
      Fail(socket, done.error());
    }
  }
  ::execve(program->c_str(), argv.data(), envp.data());
  Fail(socket, MakeError(Code::kUnknown, "unable to start container process: " +
                                             ErrnoError(errno, "exec " + *program).message));
}

Status PrepareFirst(const ContainerPlan& plan, const ChildStdio& stdio, ChildSocket& socket) {
  FARLET_TRY(LeaveAgent(plan.process));
  // The cgroup that it was born in is the root of what it sees.
  if (::unshare(CLONE_NEWCGROUP) != 0) {
    return ErrnoError(errno, "make a cgroup namespace");
  }
  FARLET_TRY(EnterRoot(plan));
  return SetStdio(plan.process, stdio, true, socket);
}

Status PrepareExec(const ProcessPlan& plan,
                   int first,
                   const ChildStdio& stdio,
                   ChildSocket& socket) {
  FARLET_TRY(LeaveAgent(plan));
  if (::setns(first, CLONE_NEWNS | CLONE_NEWCGROUP) != 0) {
    return ErrnoError(errno, "enter the container");
  }
  return SetStdio(plan, stdio, false, socket);
}

}  // namespace

void RunFirst(const ContainerPlan& plan, const ChildStdio& stdio, ChildSocket& socket) {
  if (auto done = PrepareFirst(plan, stdio, socket); !done) {
    Fail(socket, done.error());
  }
  Execute(plan.process, true, socket);
}

void RunExec(const ProcessPlan& plan, int first, const ChildStdio& stdio, ChildSocket& socket) {
  if (auto done = PrepareExec(plan, first, stdio, socket); !done) {
    Fail(socket, done.error());
  }
  Execute(plan, false, socket);
}

}  // namespace farlet::guest
