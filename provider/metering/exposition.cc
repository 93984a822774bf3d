#include "provider/metering/exposition.h"

#include "provider/metering/report_json.h"

#include <fmt/format.h>

#include <array>

namespace farlet::metering {
namespace {

std::string Escaped(std::string_view text, bool quotes) {
  std::string escaped;
  for (const char letter : text) {
    if (letter == '\\') {
      escaped += "\\\\";
    } else if (letter == '\n') {
      escaped += "\\n";
    } else if (letter == '"' && quotes) {
      escaped += "\\\"";
    } else {
      escaped += letter;
    }
  }
  return escaped;
}

struct Counter {
  std::string_view name;
  std::string_view type;
  std::string_view help;
  std::string (*value)(const GroupTotal& total);
};

constexpr std::array kCounters{
    Counter{"farlet_fargate_vcpu_seconds_total", "counter",
            "Billed seconds of Fargate pods times their provisioned vCPUs.",
            [](const GroupTotal& total) { return CpuText(total.charge.usage.milli_cpu_seconds); }},
    Counter{
        "farlet_fargate_memory_gb_seconds_total", "counter",
        "Billed seconds of Fargate pods times their provisioned GB of memory (AWS's GB: GiB).",
        [](const GroupTotal& total) { return GigabyteText(total.charge.usage.mebibyte_seconds); }},
    Counter{"farlet_fargate_storage_gb_seconds_total", "counter",
            "Billed seconds of Fargate pods times their GB of ephemeral storage above the free 20.",
            [](const GroupTotal& total) {
              return std::to_string(total.charge.usage.storage_gib_seconds);
            }},
    Counter{"farlet_fargate_cost_total", "counter",
            "Cost of Fargate pods by the configured rates, in their currency.",
            [](const GroupTotal& total) { return fargate::CostText(total.charge.cost); }},
    Counter{"farlet_fargate_pods_ended_total", "counter", "Fargate pods that have ended.",
            [](const GroupTotal& total) { return std::to_string(total.pods); }},
    Counter{"farlet_fargate_pods_running", "gauge", "Fargate pods that are billed and not ended.",
            [](const GroupTotal& total) { return std::to_string(total.running); }},
};

}  // namespace

void Exposition::Family(std::string_view name, std::string_view type, std::string_view help) {
  name_ = name;
  text_ += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, Escaped(help, false), name, type);
}

void Exposition::Sample(const Labels& labels, std::string_view value) {
  text_ += name_;
  char separator = '{';
  for (const auto& [label, text] : labels) {
    text_ += fmt::format("{}{}=\"{}\"", separator, label, Escaped(text, true));
    separator = ',';
  }
  text_ += fmt::format("{} {}\n", labels.empty() ? "" : "}", value);
}

std::string MetricsText(const std::map<Group, GroupTotal>& counters) {
  Exposition exposition;
  for (const Counter& counter : kCounters) {
    exposition.Family(counter.name, counter.type, counter.help);
    for (const auto& [group, total] : counters) {
      exposition.Sample({{"namespace", group.object_namespace}, {"profile", group.profile}},
                        counter.value(total));
    }
  }
  return exposition.Take();
}

}  // namespace farlet::metering
