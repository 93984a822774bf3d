#pragma once

#include "provider/metering/ledger_state.h"

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace farlet::metering {

// What somebody wants to know.
struct CostQuery {
  std::optional<WallTime> since;  // nothing: everything that is known
  std::string object_namespace;   // empty: all
  bool pods = false;              // each pod by itself, too
};

// From the parameters of a URL: since=RFC 3339, namespace=NAME, pods=true|false. kInvalidArgument,
// naming the parameter.
Result<CostQuery> ParseCostQuery(
    const std::vector<std::pair<std::string, std::string>>& parameters);
// The same the other way round.
std::map<std::string, std::string> CostParameters(const CostQuery& query);

struct GroupTotal {
  Charge charge;
  int64_t pods = 0;     // that have ended
  int64_t running = 0;  // not ended

  GroupTotal& operator+=(const GroupTotal& other);
  bool operator==(const GroupTotal&) const = default;
};

struct PodLine {
  PodRun run;
  seconds billed{0};  // since the beginning of the report
  Charge charge;
};

struct Report {
  std::map<Group, GroupTotal> totals;
  std::vector<PodLine> pods;  // by their begin; only where asked for
  // Of the day of `since`, older pods are known by their sum only: all of that day is in it.
  bool whole_day = false;
};

// Of a pod that began before `since` what came after it; of one that runs what has come by now.
// Pure.
Report MakeReport(const LedgerState& state, const CostQuery& query, WallTime now);

}  // namespace farlet::metering
