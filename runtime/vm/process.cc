#include "runtime/vm/process.h"

#include "runtime/base/descriptor_passing.h"

#include <fmt/format.h>

#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <functional>
#include <future>
#include <mutex>
#include <thread>
#include <utility>

namespace farlet::vm {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kExecTimeout{60000};
constexpr milliseconds kDestructorTimeout{10000};

// The parent-death signal comes when the *thread* that made the child ends. So children are made by
// one that never does.
class Spawner {
 public:
  static Spawner& Instance() {
    static std::mutex mutex;
    static Spawner* instance = nullptr;  // never destroyed: its thread uses it
    const std::scoped_lock lock(mutex);
    if (instance == nullptr || instance->process_ != ::getpid()) {
      instance = new Spawner;  // also after a fork, which leaves the thread behind
    }
    return *instance;
  }

  void Run(const std::function<void()>& task) {
    std::packaged_task<void()> packaged(task);
    auto done = packaged.get_future();
    {
      const std::scoped_lock lock(mutex_);
      task_queue_.push_back(std::move(packaged));
    }
    ready_.notify_one();
    done.wait();
  }

 private:
  Spawner() {
    std::thread([this] { Loop(); }).detach();
  }

  [[noreturn]] void Loop() {
    while (true) {
      std::unique_lock lock(mutex_);
      ready_.wait(lock, [this] { return !task_queue_.empty(); });
      auto task = std::move(task_queue_.front());
      task_queue_.erase(task_queue_.begin());
      lock.unlock();
      task();
    }
  }

  const pid_t process_ = ::getpid();
  std::mutex mutex_;  // guards what follows
  std::condition_variable ready_;
  std::vector<std::packaged_task<void()>> task_queue_;
};

struct Child {
  pid_t pid = -1;
  int pidfd = -1;
  int error = 0;
};

Child Clone(const ChildProgram& program, int control, int parent) {
  Child child;
  clone_args arguments{};
  arguments.flags =
      CLONE_PIDFD | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;
  arguments.pidfd = reinterpret_cast<uint64_t>(&child.pidfd);
  arguments.exit_signal = SIGCHLD;
  // The system call itself, which copies this process as fork does; all namespaces in one step.
  const long pid = ::syscall(SYS_clone3, &arguments, sizeof arguments);
  if (pid == 0) {
    program.Run(control, parent);
  }
  if (pid < 0) {
    child.error = errno;
  }
  child.pid = static_cast<pid_t>(pid);
  return child;
}

int TimeLeft(steady_clock::time_point deadline) {
  const auto left = std::chrono::ceil<milliseconds>(deadline - steady_clock::now()).count();
  return left < 0 ? 0 : static_cast<int>(left);
}

bool WaitReadable(int fd, milliseconds timeout) {
  const auto deadline = steady_clock::now() + timeout;
  pollfd readable{.fd = fd, .events = POLLIN, .revents = 0};
  int count = 0;
  do {
    count = ::poll(&readable, 1, TimeLeft(deadline));
  } while (count < 0 && errno == EINTR);
  return count > 0;
}

}  // namespace

Result<ConfinedProcess> ConfinedProcess::Start(LaunchPlan plan) {
  const std::string what = "start " + plan.program.string();
  FARLET_ASSIGN(const ChildProgram program, Annotate(ChildProgram::Prepare(std::move(plan)), what));
  std::array<int, 2> pair{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair.data()) != 0) {
    return ErrnoError(errno, what + ": socketpair");
  }
  const UniqueFd ours(pair[0]);
  UniqueFd childs(pair[1]);
  const UniqueFd self(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)));
  if (!self.valid()) {
    return ErrnoError(errno, what + ": pidfd_open");
  }
  Child child;
  Spawner::Instance().Run([&] { child = Clone(program, childs.get(), self.get()); });
  if (child.pid < 0) {
    return ErrnoError(child.error, what + ": clone");
  }
  childs.Close();
  ConfinedProcess process(child.pid, UniqueFd(child.pidfd));
  FARLET_TRY(Annotate(process.AwaitExec(ours.get()), what));
  return process;
}

Status ConfinedProcess::AwaitExec(int control) {
  while (true) {
    if (!WaitReadable(control, kExecTimeout)) {
      return MakeError(Code::kDeadlineExceeded, "the child did not get as far as exec in time");
    }
    ChildFailure failure;
    ReceivedMessage message =
        ReceiveWithDescriptors(control, {reinterpret_cast<char*>(&failure), sizeof failure});
    if (message.descriptors[0].valid()) {
      listener_ = std::move(message.descriptors[0]);
    }
    if (message.size == static_cast<ssize_t>(sizeof failure)) {
      failure.what[sizeof failure.what - 1] = '\0';
      return ErrnoError(failure.error, failure.what);
    }
    if (message.size <= 0) {
      break;  // closed by exec, or by an early death
    }
  }
  if (!listener_.valid()) {
    return Internal("the child died before exec");
  }
  return {};
}

ConfinedProcess::~ConfinedProcess() {
  if (pidfd_.valid()) {
    (void)Kill(kDestructorTimeout).has_value();
    siginfo_t info{};
    ::waitid(P_PIDFD, static_cast<id_t>(pidfd_.get()), &info, WEXITED | WNOHANG);
  }
}

Status ConfinedProcess::Kill(milliseconds timeout) {
  if (::syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGKILL, nullptr, 0) != 0 && errno != ESRCH) {
    return ErrnoError(errno, fmt::format("kill process {}", pid_));
  }
  if (!WaitReadable(pidfd_.get(), timeout)) {
    return MakeError(Code::kDeadlineExceeded,
                     fmt::format("kill process {}: it is still there", pid_));
  }
  return {};
}

std::optional<std::string> ConfinedProcess::EndOf() const {
  siginfo_t info{};
  if (::waitid(P_PIDFD, static_cast<id_t>(pidfd_.get()), &info, WEXITED | WNOHANG | WNOWAIT) != 0) {
    return "gone";
  }
  if (info.si_pid == 0) {
    return std::nullopt;
  }
  return info.si_code == CLD_EXITED ? fmt::format("exited with status {}", info.si_status)
                                    : fmt::format("killed by signal {}", info.si_status);
}

}  // namespace farlet::vm
