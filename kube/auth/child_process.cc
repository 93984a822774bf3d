#include "kube/auth/child_process.h"

#include "runtime/base/c_strings.h"
#include "runtime/base/pipe.h"
#include "runtime/base/text.h"
#include "runtime/base/time_format.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace farlet::kube {
namespace {

constexpr milliseconds kStopCheck{50};
constexpr size_t kMaxComplaint = 300;

Result<pid_t> Spawn(const ChildProcess& process, int output, int complaint) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, complaint, STDERR_FILENO);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigset_t all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  auto arguments = CStrings(process.arguments);
  auto environment = CStrings(process.environment);
  pid_t pid = 0;
  const int error = ::posix_spawnp(&pid, arguments[0], &actions, &attributes, arguments.data(),
                                   environment.data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    return ErrnoError(error, process.arguments[0]);
  }
  return pid;
}

struct Output {
  std::string text;
  std::string complaint;
};

// Reads what is there; false at the end of the file.
bool Drain(int fd, std::string& into, size_t limit) {
  std::array<char, 4096> buffer{};
  const ssize_t got = ::read(fd, buffer.data(), buffer.size());
  if (got > 0) {
    into.append(buffer.data(),
                std::min(static_cast<size_t>(got), limit - std::min(limit, into.size())));
  }
  return got > 0 || (got < 0 && errno == EINTR);
}

// Until both pipes are closed.
Status Collect(const ChildProcess& process,
               const std::atomic<bool>& stop,
               Pipe& out,
               Pipe& err,
               Output& output) {
  const auto deadline = std::chrono::steady_clock::now() + process.timeout;
  while (out.read.valid() || err.read.valid()) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) {
      return MakeError(Code::kDeadlineExceeded,
                       "still running after " + FormatGoDuration(process.timeout));
    }
    if (stop) {
      return Cancelled("no longer needed");
    }
    std::array<pollfd, 2> waits{pollfd{.fd = out.read.get(), .events = POLLIN},
                                pollfd{.fd = err.read.get(), .events = POLLIN}};
    ::poll(waits.data(), waits.size(), static_cast<int>(std::min(left, kStopCheck).count()));
    if (waits[0].revents != 0 && !Drain(out.read.get(), output.text, process.max_output + 1)) {
      out.read.Close();
    }
    if (waits[1].revents != 0 && !Drain(err.read.get(), output.complaint, kMaxComplaint)) {
      err.read.Close();
    }
    if (output.text.size() > process.max_output) {
      return MakeError(Code::kResourceExhausted,
                       "wrote more than " + std::to_string(process.max_output) + " bytes");
    }
  }
  return {};
}

}  // namespace

Result<std::string> RunChildProcess(const ChildProcess& process, const std::atomic<bool>& stop) {
  FARLET_ASSIGN(Pipe out, MakePipe());
  FARLET_ASSIGN(Pipe err, MakePipe());
  FARLET_ASSIGN(const pid_t pid, Spawn(process, out.write.get(), err.write.get()));
  out.write.Close();
  err.write.Close();
  Output output;
  Status collected = Collect(process, stop, out, err, output);
  if (!collected) {
    ::kill(-pid, SIGKILL);
  }
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  std::string complaint = OneLine(std::move(output.complaint));
  if (!complaint.empty()) {
    complaint.insert(0, ": ");
  }
  if (!collected) {
    Error error = std::move(collected).error();
    error.message += complaint;
    return error;
  }
  if (WIFSIGNALED(status)) {
    return Internal("killed by signal " + std::to_string(WTERMSIG(status)) + complaint);
  }
  if (WEXITSTATUS(status) != 0) {
    return Internal("exited with status " + std::to_string(WEXITSTATUS(status)) + complaint);
  }
  return std::move(output.text);
}

}  // namespace farlet::kube
