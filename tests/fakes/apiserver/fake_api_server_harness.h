#pragma once

#include "runtime/base/timer.h"
#include "tests/fakes/apiserver/fake_api_server_client.h"
#include "tests/fakes/apiserver/fake_api_server_core.h"
#include "tests/fakes/clock/fake_clock.h"

#include <chrono>
#include <functional>
#include <thread>

namespace farlet::testing {

// True as soon as `condition` holds; false when it has not within five seconds of real time.
inline bool Eventually(const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) {
      return false;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

// What the tests of kube/* and provider/node stand on: an API server in memory, its client, and
// time that only the test moves.
struct ApiHarness {
  FakeClock clock;
  TimerService timers{clock};
  FakeApiCore api;
  FakeApiClient client{api};

  void Advance(std::chrono::nanoseconds duration) {
    clock.Advance(duration);
    timers.Poke();
  }

  // Moves time on in steps until `condition` holds: for steps that begin a timer of their own when
  // it is not known when they get there. False after 20 seconds of real time.
  bool AdvanceUntil(std::chrono::nanoseconds step, const std::function<bool()>& condition) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) {
        return false;
      }
      Advance(step);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
  }
};

}  // namespace farlet::testing
