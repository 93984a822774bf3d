#include "provider/metering/report.h"

#include "runtime/base/time_format.h"

#include <fmt/format.h>

#include <algorithm>

namespace farlet::metering {
namespace {

// A DNS label, what a namespace's name has to be, or the group of the rest.
bool IsNamespace(std::string_view name) {
  const auto allowed = [](char letter) {
    return (letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9') || letter == '-';
  };
  return name == kOther ||
         (!name.empty() && name.size() <= 63 && std::all_of(name.begin(), name.end(), allowed));
}

void AddFolded(const LedgerState& state, const CostQuery& query, Report& report) {
  const std::optional<Day> first =
      query.since ? std::optional(std::chrono::floor<std::chrono::days>(*query.since))
                  : std::nullopt;
  for (const auto& [key, sum] : state.folded) {
    const bool wanted =
        query.object_namespace.empty() || key.group.object_namespace == query.object_namespace;
    if (!wanted || (first && key.day < *first)) {
      continue;
    }
    report.totals[key.group] += {.charge = sum.charge, .pods = sum.pods};
    report.whole_day = report.whole_day || (first && key.day == *first && *first != *query.since);
  }
}

void AddRun(const PodRun& run, const CostQuery& query, WallTime now, Report& report) {
  const bool wanted =
      query.object_namespace.empty() || run.object_namespace == query.object_namespace;
  if (!wanted || !run.begin() || (query.since && run.end && *run.end < *query.since)) {
    return;
  }
  PodLine line{.run = run, .billed = BilledSeconds(run, now), .charge = ChargeOf(run, now)};
  if (query.since && *run.begin() < *query.since) {
    line.charge -= ChargeBefore(run, *query.since, now);
    line.billed -= std::min(line.billed, std::chrono::floor<seconds>(*query.since - *run.begin()));
  }
  report.totals[GroupOf(run)] +=
      {.charge = line.charge, .pods = run.end ? 1 : 0, .running = run.end ? 0 : 1};
  if (query.pods) {
    report.pods.push_back(std::move(line));
  }
}

}  // namespace

Result<CostQuery> ParseCostQuery(
    const std::vector<std::pair<std::string, std::string>>& parameters) {
  CostQuery query;
  for (const auto& [name, value] : parameters) {
    if (name == "since") {
      auto since = ParseRfc3339(value);
      if (!since) {
        return Wrap("since", since.error());
      }
      query.since = *since;
    } else if (name == "namespace") {
      if (!IsNamespace(value)) {
        return InvalidArgument(
            fmt::format("namespace: \"{}\" is no name of a namespace", value.substr(0, 64)));
      }
      query.object_namespace = value;
    } else if (name == "pods") {
      if (value != "true" && value != "false") {
        return InvalidArgument("pods: must be true or false");
      }
      query.pods = value == "true";
    } else {
      return InvalidArgument(fmt::format("{}: there is no such parameter", name.substr(0, 64)));
    }
  }
  return query;
}

std::map<std::string, std::string> CostParameters(const CostQuery& query) {
  std::map<std::string, std::string> parameters;
  if (query.since) {
    parameters["since"] = FormatRfc3339Nano(*query.since);
  }
  if (!query.object_namespace.empty()) {
    parameters["namespace"] = query.object_namespace;
  }
  if (query.pods) {
    parameters["pods"] = "true";
  }
  return parameters;
}

GroupTotal& GroupTotal::operator+=(const GroupTotal& other) {
  charge += other.charge;
  pods += other.pods;
  running += other.running;
  return *this;
}

Report MakeReport(const LedgerState& state, const CostQuery& query, WallTime now) {
  Report report;
  AddFolded(state, query, report);
  for (const auto& [uid, run] : state.runs) {
    AddRun(run, query, now, report);
  }
  std::sort(report.pods.begin(), report.pods.end(), [](const PodLine& a, const PodLine& b) {
    return std::pair(a.run.begin(), a.run.uid) < std::pair(b.run.begin(), b.run.uid);
  });
  return report;
}

}  // namespace farlet::metering
