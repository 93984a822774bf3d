#include "provider/app/stop_signal.h"

#include <csignal>

namespace farlet::app {
namespace {

sigset_t StopSignals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  return set;
}

}  // namespace

StopSignal::StopSignal() {
  const sigset_t set = StopSignals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

bool StopSignal::WaitFor(milliseconds timeout) {
  const sigset_t set = StopSignals();
  const timespec wait{.tv_sec = timeout.count() / 1000,
                      .tv_nsec = (timeout.count() % 1000) * 1'000'000};
  received_ = received_ || sigtimedwait(&set, nullptr, &wait) > 0;
  return received_;
}

void StopSignal::Wait() {
  while (!WaitFor(std::chrono::hours(1))) {
  }
}

}  // namespace farlet::app
