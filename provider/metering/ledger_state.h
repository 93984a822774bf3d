#pragma once

#include "provider/metering/charge.h"

#include <nlohmann/json_fwd.hpp>

#include <chrono>
#include <compare>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>

namespace farlet::metering {

// Days since 1970, UTC.
using Day = std::chrono::sys_days;

struct FoldedKey {
  Group group;
  Day day;
  auto operator<=>(const FoldedKey&) const = default;
};

struct Folded {
  Charge charge;
  int64_t pods = 0;  // that ended on that day
  bool operator==(const Folded&) const = default;
};

// All that the ledger knows. What is counted is the sum of `runs` and `folded`, and a run leaves
// one for the other in one step, so that nothing is lost or counted twice.
struct LedgerState {
  std::map<std::string, PodRun, std::less<>> runs;  // by UID
  std::map<FoldedKey, Folded> folded;
  // UIDs of folded runs of which something is still there: they are not to be counted anew.
  std::set<std::string, std::less<>> counted;

  bool Knows(std::string_view uid) const { return runs.contains(uid) || counted.contains(uid); }

  bool operator==(const LedgerState&) const = default;
};

// A change of the state is an entry of the journal and happens by being applied, in the running
// agent as well as in the one that reads it later. Applying one again changes nothing.
nlohmann::json RunEntry(const PodRun& run);                      // as it is from now on
nlohmann::json GoneEntry(const std::string& uid);                // nothing is left of it
nlohmann::json DropEntry(const std::string& uid);                // it was never billed
nlohmann::json AliveEntry(WallTime until,                        // open runs lasted until then …
                          const std::set<std::string>& except);  // … but these
// kInvalidArgument, and the state is as it was.
Status Apply(const nlohmann::json& entry, LedgerState& state);

nlohmann::json StateToJson(const LedgerState& state);
Result<LedgerState> StateFromJson(const nlohmann::json& json);

}  // namespace farlet::metering
