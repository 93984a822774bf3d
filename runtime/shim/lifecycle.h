#pragma once

#include "runtime/base/clock.h"
#include "runtime/base/result.h"

#include <cstdint>
#include <optional>
#include <string_view>

namespace farlet::shim {

struct Exit {
  uint32_t status = 0;  // 128 + signal when one ended it
  WallTime at;
  bool oom_killed = false;
};

// The life of one process that containerd knows: the init of a container, or an exec.
//
//   Create/Exec ─▶ kCreated ──Start──▶ kStarting ──guest says started──▶ kRunning ──exit──▶
//   kStopped
//                     │                    │                              │    ▲              ▲ ▲ ▲
//                     │                    └── start failed, or an exit ───┼────┼──────────────┘ │
//                     │ │                        that was held meanwhile     │    │ Resume │ │ │
//                     BeginPause ▼    │                │ │ │ kPausing ─▶ kPaused ── exit ───┘ │ └──
//                     killed before its start ─────────────────────────────────────────────────┘
//
// An exit that arrives while the start is under way is held until the start has been told: that
// is what keeps the start event before the exit event. Not thread safe: the I/O thread's.
class Lifecycle {
 public:
  enum class State { kCreated, kStarting, kRunning, kPausing, kPaused, kStopped };

  State state() const { return state_; }

  const std::optional<Exit>& exit() const { return exit_; }

  bool stopped() const { return state_ == State::kStopped; }

  // kFailedPrecondition unless kCreated.
  Status BeginStart();
  // Ends kStarting. An exit that was held is returned: pass it to Exited() once the start is told.
  std::optional<Exit> EndStart();
  // kStarting to kStopped.
  void FailStart(const Exit& exit);

  // kFailedPrecondition unless kRunning.
  Status BeginPause();
  void EndPause(bool paused);
  // kFailedPrecondition unless kPaused.
  Status Resume();

  // The process ended. True when it is kStopped by this; false when the exit is held, or when it
  // was stopped already.
  bool Exited(const Exit& exit);

 private:
  State state_ = State::kCreated;
  std::optional<Exit> exit_;
  std::optional<Exit> held_;
};

std::string_view StateName(Lifecycle::State state);

}  // namespace farlet::shim
