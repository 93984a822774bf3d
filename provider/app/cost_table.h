#pragma once

#include "provider/metering/report.h"

#include <nlohmann/json_fwd.hpp>

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// What `farlet cost` says, made from what the nodes have said. Pure functions.
namespace farlet::app {

struct CostSummary {
  metering::CostQuery query;
  std::map<metering::Group, metering::GroupTotal> totals;
  std::vector<std::pair<std::string, metering::PodLine>> pods;  // with the node's name
  std::vector<std::string> nodes;                               // that have answered
  std::vector<std::pair<std::string, std::string>> silent;      // those that have not, and why
  bool whole_day = false;
};

// "24h", "1h30m", "7d" (before `now`) or RFC 3339. kInvalidArgument for anything else, and for what
// is still to come.
Result<WallTime> ParseSince(std::string_view text, WallTime now);

void AddReport(std::string node, metering::Report report, CostSummary& summary);

// For people: the pods if they were asked for, and the totals.
std::string CostTable(const CostSummary& summary);
// For programs. Amounts are decimals as texts, so that no reader rounds them.
nlohmann::json CostJson(const CostSummary& summary);

}  // namespace farlet::app
