#pragma once

#include "runtime/base/clock.h"

#include <chrono>

// How long we wait for each kind of call (kubelet-contract B7). The only place for these numbers.
namespace farlet::cri::deadlines {

inline constexpr seconds kCall{120};
inline constexpr seconds kRunPodSandbox{240};
// Small reads that health and events depend on: a runtime that hangs must be noticed.
inline constexpr seconds kProbe{10};
// Without a deadline; a pull is bounded by the runtime, which watches its progress.
inline constexpr seconds kNone{0};

inline constexpr seconds kMaxAllowed = std::chrono::hours(24 * 365);

// StopContainer and ExecSync take as long as their caller allowed, and then some for the work.
inline constexpr seconds Longer(seconds allowed) {
  return kCall + (allowed < kMaxAllowed ? allowed : kMaxAllowed);
}

}  // namespace farlet::cri::deadlines
