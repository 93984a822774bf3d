#pragma once

#include "provider/metering/fold.h"
#include "provider/metering/journal.h"
#include "provider/metering/ledger_state.h"
#include "provider/metering/report.h"

#include <filesystem>
#include <map>
#include <mutex>
#include <set>
#include <string>

namespace farlet::metering {

// What the pods of this node have used, kept through every end of the agent (README.md). It is told
// what happens, in any order and as often as one likes: of everything the first time counts, and
// what is known already changes nothing. What a call has taken in is on its way to the disk when it
// returns. When the disk does not take it, that is logged, the ledger goes on in memory, and Tick()
// tries to write all of it anew. Thread safe.
class Ledger {
 public:
  // Reads what is in the folder; a file that cannot be read is logged and kept aside.
  Ledger(std::filesystem::path folder, const Clock& clock, Limits limits);

  // A run that is to be known from now on, unless it is: open, ended, or counted long ago.
  void Begin(PodRun run);
  bool Knows(const std::string& uid) const;
  // Known and not ended, and its containers have not all been started yet.
  bool Starting(const std::string& uid) const;
  // Those of unknown and of ended runs do not count.
  void Note(const std::string& uid, Moment moment, WallTime when);
  void NotePull(const std::string& uid, std::chrono::nanoseconds pull);
  // It was seen on its way by this agent, so that Tick() may take it for alive.
  void Saw(const std::string& uid);
  void End(const std::string& uid, WallTime when);
  // Nothing of it is left on the node. A run that is open ends, one that was never billed is
  // dropped.
  void Gone(const std::string& uid, WallTime when);

  // From time to time, while the runtime's and the API server's view of the pods is whole and
  // current: what Saw() told of ran until `until`, and `present` is on the node. A run that is
  // missing twice in a row is gone, and ended when it was last known to run.
  void Tick(WallTime until, const std::set<std::string>& present);
  // Everything that was taken in is on the disk when it returns, as far as the disk works.
  void Sync();

  // What only grows: ended runs, and of the others what is certain by now.
  std::map<Group, GroupTotal> Counters() const;
  Report MakeReport(const CostQuery& query) const;

 private:
  PodRun* FindOpen(const std::string& uid);
  void Load();
  void Write(const nlohmann::json& entry);
  void Compact();
  void EndLocked(const std::string& uid, WallTime when);
  void GoneLocked(const std::string& uid, WallTime when);
  std::set<std::string> TakeMissing(const std::set<std::string>& present);

  const Clock& clock_;
  const Limits limits_;
  mutable std::mutex mutex_;  // guards all below
  Journal journal_;
  LedgerState state_;
  std::set<std::string> seen_;     // by this agent
  std::set<std::string> missing_;  // in the last Tick()
  size_t ended_ = 0;               // in state_.runs
  bool dirty_ = false;             // something was appended since the last Sync()
  bool unsaved_ = false;           // something could not be written
};

}  // namespace farlet::metering
