#include "runtime/guest/reaper.h"

#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <utility>

namespace farlet::guest {

Status Reaper::Start() {
  sigset_t child;
  ::sigemptyset(&child);
  ::sigaddset(&child, SIGCHLD);
  if (::sigprocmask(SIG_BLOCK, &child, nullptr) != 0) {
    return ErrnoError(errno, "block SIGCHLD");
  }
  const int fd = ::signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
  if (fd < 0) {
    return ErrnoError(errno, "create a signalfd");
  }
  signals_.assign(fd);
  // Those that ended before are not signalled any more.
  Reap();
  Wait();
  return {};
}

void Reaper::Watch(pid_t pid, Ended ended) {
  watched_[pid] = std::move(ended);
}

void Reaper::Wait() {
  signals_.async_wait(
      boost::asio::posix::stream_descriptor::wait_read,
      [this](const boost::system::error_code& error) {
        if (error) {
          return;
        }
        std::array<char, sizeof(signalfd_siginfo) * 8> drained{};
        while (::read(signals_.native_handle(), drained.data(), drained.size()) > 0) {
        }
        Reap();
        Wait();
      });
}

void Reaper::Reap() {
  while (true) {
    int status = 0;
    const pid_t pid = ::waitpid(-1, &status, WNOHANG);
    if (pid <= 0) {
      return;
    }
    const auto found = watched_.find(pid);
    if (found != watched_.end()) {
      const Ended ended = std::move(found->second);
      watched_.erase(found);
      ended(status);
    }
  }
}

}  // namespace farlet::guest
