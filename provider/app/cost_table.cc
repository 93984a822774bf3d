#include "provider/app/cost_table.h"

#include "provider/metering/report_json.h"
#include "runtime/base/time_format.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>

namespace farlet::app {
namespace {

using metering::GroupTotal;
using metering::PodLine;
using metering::StartTimes;
using nlohmann::json;
using Row = std::vector<std::string>;

constexpr char kNone[] = "-";
// Longer than that is no span of time but a mistake.
constexpr int64_t kMostSeconds = int64_t{100} * 366 * 86400;

int64_t SecondsOf(char unit) {
  switch (unit) {
    case 's':
      return 1;
    case 'm':
      return 60;
    case 'h':
      return 3600;
    case 'd':
      return 86400;
    default:
      return 0;
  }
}

// "1h30m" → 5400; nothing when it is no such span.
std::optional<seconds> ParseSpan(std::string_view text) {
  int64_t sum = 0;
  if (text.empty()) {
    return std::nullopt;
  }
  while (!text.empty()) {
    int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    const auto used = static_cast<size_t>(end - text.data());
    const int64_t unit = used < text.size() ? SecondsOf(text[used]) : 0;
    if (error != std::errc() || number < 0 || unit == 0 || number > kMostSeconds / unit) {
      return std::nullopt;
    }
    sum += number * unit;
    if (sum > kMostSeconds) {
      return std::nullopt;
    }
    text.remove_prefix(used + 1);
  }
  return seconds(sum);
}

// "0.412"
std::string SecondsText(std::chrono::nanoseconds duration) {
  const auto whole = std::chrono::duration_cast<milliseconds>(duration).count();
  return fmt::format("{}.{:03}", whole / 1000, whole % 1000);
}

std::vector<std::pair<const char*, StartTimes::Duration>> Steps(const StartTimes& times) {
  return {{"scheduled", times.scheduled},
          {"sandbox", times.sandbox},
          {"pull", times.pull},
          {"start", times.start},
          {"ready", times.ready}};
}

std::string StorageText(const metering::PodRun& run) {
  return metering::GigabyteText(run.storage.value / fargate::kMi);
}

GroupTotal SumOf(const CostSummary& summary) {
  GroupTotal sum;
  for (const auto& [group, total] : summary.totals) {
    sum += total;
  }
  return sum;
}

std::string Format(const std::vector<Row>& rows) {
  std::vector<size_t> widths(rows.front().size());
  for (const Row& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], row[i].size());
    }
  }
  std::string text;
  for (const Row& row : rows) {
    for (size_t i = 0; i + 1 < row.size(); ++i) {
      text += fmt::format("{:<{}}  ", row[i], widths[i]);
    }
    text += row.back() + "\n";
  }
  return text;
}

Row TotalRow(std::string name, std::string profile, const GroupTotal& total) {
  const fargate::Usage& usage = total.charge.usage;
  return {std::move(name),
          std::move(profile),
          std::to_string(total.pods),
          std::to_string(total.running),
          metering::CpuText(usage.milli_cpu_seconds),
          metering::GigabyteText(usage.mebibyte_seconds),
          std::to_string(usage.storage_gib_seconds),
          fargate::CostText(total.charge.cost)};
}

std::string TotalsTable(const CostSummary& summary) {
  std::vector<Row> rows{{"NAMESPACE", "PROFILE", "ENDED", "RUNNING", "VCPU_SECONDS", "GB_SECONDS",
                         "STORAGE_GB_SECONDS", "COST"}};
  for (const auto& [group, total] : summary.totals) {
    rows.push_back(TotalRow(group.object_namespace, group.profile, total));
  }
  rows.push_back(TotalRow("TOTAL", "", SumOf(summary)));
  return Format(rows);
}

std::string PodsTable(const CostSummary& summary) {
  std::vector<Row> rows{{"NAMESPACE", "POD", "PROFILE", "NODE", "SIZE", "BEGAN", "SECONDS", "COST",
                         "SCHEDULED", "SANDBOX", "PULL", "START", "READY"}};
  for (const auto& [node, line] : summary.pods) {
    const metering::PodRun& run = line.run;
    Row row{run.object_namespace,
            run.name,
            run.profile,
            node,
            fargate::CapacityText(run.provisioned),
            run.begin() ? FormatRfc3339(*run.begin()) : kNone,
            fmt::format("{}{}", line.billed.count(), run.end ? "" : "+"),
            fargate::CostText(line.charge.cost)};
    for (const auto& [name, duration] : Steps(StartTimesOf(run))) {
      row.push_back(duration ? SecondsText(*duration) + "s" : kNone);
    }
    rows.push_back(std::move(row));
  }
  return Format(rows);
}

void AddAmounts(const metering::Charge& charge, json& item) {
  item["vcpuSeconds"] = metering::CpuText(charge.usage.milli_cpu_seconds);
  item["memoryGbSeconds"] = metering::GigabyteText(charge.usage.mebibyte_seconds);
  item["storageGbSeconds"] = std::to_string(charge.usage.storage_gib_seconds);
  item["cost"] = fargate::CostText(charge.cost);
}

json TotalJson(const GroupTotal& total) {
  json item = {{"ended", total.pods}, {"running", total.running}};
  AddAmounts(total.charge, item);
  return item;
}

json PodJson(const std::string& node, const PodLine& line) {
  const metering::PodRun& run = line.run;
  json item = {{"namespace", run.object_namespace},
               {"name", run.name},
               {"uid", run.uid},
               {"profile", run.profile},
               {"node", node},
               {"vcpu", metering::CpuText(run.provisioned.cpu.value)},
               {"memoryGb", metering::GigabyteText(run.provisioned.memory.value / fargate::kMi)},
               {"storageGb", StorageText(run)},
               {"billedSeconds", line.billed.count()}};
  AddAmounts(line.charge, item);
  if (run.begin()) {
    item["began"] = FormatRfc3339Nano(*run.begin());
  }
  if (run.end) {
    item["ended"] = FormatRfc3339Nano(*run.end);
  }
  json steps = json::object();
  for (const auto& [name, duration] : Steps(StartTimesOf(run))) {
    if (duration) {
      steps[name] = SecondsText(*duration);
    }
  }
  item["startSeconds"] = std::move(steps);
  return item;
}

}  // namespace

Result<WallTime> ParseSince(std::string_view text, WallTime now) {
  if (const auto span = ParseSpan(text)) {
    return now - *span;
  }
  const auto time = ParseRfc3339(text);
  if (!time) {
    return InvalidArgument(fmt::format(
        "\"{}\" is neither a span (24h, 1h30m, 7d) nor an RFC 3339 time", text.substr(0, 64)));
  }
  if (*time > now) {
    return InvalidArgument(fmt::format("\"{}\" is still to come", text));
  }
  return *time;
}

void AddReport(std::string node, metering::Report report, CostSummary& summary) {
  for (const auto& [group, total] : report.totals) {
    summary.totals[group] += total;
  }
  for (PodLine& line : report.pods) {
    summary.pods.emplace_back(node, std::move(line));
  }
  summary.whole_day = summary.whole_day || report.whole_day;
  summary.nodes.push_back(std::move(node));
}

std::string CostTable(const CostSummary& summary) {
  std::string text;
  if (summary.query.pods) {
    text = PodsTable(summary) + "\n";
  }
  return text + TotalsTable(summary);
}

json CostJson(const CostSummary& summary) {
  json nodes = json::array();
  for (const std::string& node : summary.nodes) {
    nodes.push_back({{"name", node}});
  }
  for (const auto& [node, why] : summary.silent) {
    nodes.push_back({{"name", node}, {"error", why}});
  }
  json totals = json::array();
  for (const auto& [group, total] : summary.totals) {
    json item = TotalJson(total);
    item["namespace"] = group.object_namespace;
    item["profile"] = group.profile;
    totals.push_back(std::move(item));
  }
  json answer = {{"kind", "CostSummary"},
                 {"apiVersion", "farlet.dev/v1alpha1"},
                 {"complete", summary.silent.empty()},
                 {"wholeDay", summary.whole_day},
                 {"nodes", std::move(nodes)},
                 {"totals", std::move(totals)},
                 {"total", TotalJson(SumOf(summary))}};
  if (summary.query.since) {
    answer["since"] = FormatRfc3339Nano(*summary.query.since);
  }
  if (summary.query.pods) {
    json pods = json::array();
    for (const auto& [node, line] : summary.pods) {
      pods.push_back(PodJson(node, line));
    }
    answer["pods"] = std::move(pods);
  }
  return answer;
}

}  // namespace farlet::app
