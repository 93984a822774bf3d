#pragma once

#include <chrono>

namespace farlet {

using std::chrono::milliseconds;
using std::chrono::seconds;
using SteadyTime = std::chrono::steady_clock::time_point;
using WallTime = std::chrono::system_clock::time_point;

// The only source of time. Steady time for every duration and deadline; wall time only for stamps.
// Thread safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual SteadyTime Now() const = 0;
  virtual WallTime WallNow() const = 0;
};

class RealClock final : public Clock {
 public:
  SteadyTime Now() const override { return std::chrono::steady_clock::now(); }

  WallTime WallNow() const override { return std::chrono::system_clock::now(); }
};

}  // namespace farlet
