#include "runtime/vm/watcher.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <cerrno>
#include <csignal>
#include <utility>

namespace farlet::vm {
namespace {

// The thread takes no signals: they are for the program's main loop.
std::thread WithoutSignals(std::function<void()> body) {
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread thread(std::move(body));
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return thread;
}

}  // namespace

Result<std::unique_ptr<Watcher>> Watcher::Start(std::vector<Source> sources) {
  UniqueFd stop(::eventfd(0, EFD_CLOEXEC));
  if (!stop.valid()) {
    return ErrnoError(errno, "eventfd");
  }
  std::unique_ptr<Watcher> watcher(new Watcher(std::move(stop)));
  watcher->thread_ =
      WithoutSignals([raw = watcher.get(), sources = std::move(sources)] { raw->Loop(sources); });
  return watcher;
}

Watcher::~Watcher() {
  ::eventfd_write(stop_.get(), 1);
  thread_.join();
}

void Watcher::Loop(std::vector<Source> sources) {
  while (true) {
    std::vector<pollfd> polled = {{.fd = stop_.get(), .events = POLLIN, .revents = 0}};
    for (const Source& source : sources) {
      polled.push_back({.fd = source.fd, .events = POLLIN, .revents = 0});
    }
    if (::poll(polled.data(), polled.size(), -1) < 0) {
      continue;  // only EINTR is possible
    }
    if (polled[0].revents != 0) {
      return;
    }
    std::vector<Source> kept;
    for (size_t i = 0; i < sources.size(); ++i) {
      if (polled[i + 1].revents == 0 || sources[i].on_readable()) {
        kept.push_back(std::move(sources[i]));
      }
    }
    sources = std::move(kept);
  }
}

}  // namespace farlet::vm
