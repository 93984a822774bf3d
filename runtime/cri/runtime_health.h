#pragma once

#include "runtime/base/clock.h"
#include "runtime/base/timer.h"
#include "runtime/cri/client.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace farlet::cri {

// What the node's conditions are made of.
struct RuntimeHealthState {
  // The last poll was answered.
  bool reachable = false;
  // When an answer last came; absent before the first.
  std::optional<SteadyTime> last_good;
  // Of the last answer.
  RuntimeVersion version;
  RuntimeStatus status;
  // Why it is not reachable.
  std::string error;

  const RuntimeCondition* Find(const std::string& type) const;
  // Reachable, and RuntimeReady (NetworkReady) is true.
  bool RuntimeReady() const;
  bool NetworkReady() const;
  // "" when both hold, else every reason, for a condition's message.
  std::string Problem() const;
};

// Polls the runtime's Status every 5 s (every second while it is not well) and its Version after
// each time it came back. A poll that hangs counts as unreachable after 10 s, the call's deadline.
// Thread safe.
class RuntimeHealth {
 public:
  // Called when reachability, a condition or the version changed; not under a lock, must not block
  // and must not destroy this.
  using Listener = std::function<void(const RuntimeHealthState&)>;

  // The references must outlive this.
  RuntimeHealth(Client& client, const Clock& clock, TimerService& timers, Listener listener);
  // No listener runs once it returns.
  ~RuntimeHealth();

  RuntimeHealth(const RuntimeHealth&) = delete;
  RuntimeHealth& operator=(const RuntimeHealth&) = delete;

  void Start();
  RuntimeHealthState State() const;

 private:
  class Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace farlet::cri
