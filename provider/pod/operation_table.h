#pragma once

#include "runtime/base/clock.h"

#include <map>
#include <optional>
#include <string>

namespace farlet::pod {

// What one pod has in flight and what failed and waits for its next try, by a name such as
// "stop-sandbox/<id>". Used by the pod's worker only.
//
//   absent ──Begin──► running ──Succeed──► absent
//                        ▲ └────Fail──► waiting (1 s, 2, 4 … 30 s) ──Begin──┐
//                        └─────────────────────────────────────────────────┘
class OperationTable {
 public:
  static constexpr seconds kFirstWait{1};
  static constexpr seconds kLongestWait{30};

  bool Running(const std::string& name) const;

  bool AnyRunning() const { return running_ > 0; }

  // Neither running nor waiting.
  bool MayBegin(const std::string& name, SteadyTime now) const;
  // When a waiting one may begin.
  std::optional<SteadyTime> RetryAt(const std::string& name) const;
  int Failures(const std::string& name) const;

  void Begin(const std::string& name);
  void Succeed(const std::string& name);
  void Fail(const std::string& name, SteadyTime now);
  // Fail, with a wait that somebody else chose.
  void FailUntil(const std::string& name, SteadyTime retry_at);
  // Ends without a verdict: it may begin again at once.
  void Abandon(const std::string& name);
  // Forgets a waiting one.
  void Reset(const std::string& name);

 private:
  struct Entry {
    bool running = false;
    int failures = 0;
    SteadyTime retry_at;
  };

  void Stop(Entry& entry);

  std::map<std::string, Entry> entries_;
  int running_ = 0;
};

}  // namespace farlet::pod
