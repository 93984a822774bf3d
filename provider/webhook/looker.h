#pragma once

#include "runtime/base/timer.h"

#include <functional>
#include <memory>

namespace farlet::webhook {

struct LookerOptions {
  // From the first reason to look until the look; reasons in between are met by the same one.
  milliseconds settle{500};
  // From one look until the next that comes without a reason; zero: none does.
  milliseconds look_again{0};
};

// What a level-triggered step is driven by: looks at everything, some time after there was a reason
// to. Thread safe. `timers` outlives it.
class Looker {
 public:
  // `look` runs on the thread of the timers, never twice at a time, and must not block.
  Looker(TimerService& timers, LookerOptions options, std::function<void()> look);
  ~Looker();  // Stop()

  Looker(const Looker&) = delete;
  Looker& operator=(const Looker&) = delete;

  void LookSoon();
  // Waits for a look that is running; none comes afterwards. Not from the look. Idempotent.
  void Stop();

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace farlet::webhook
