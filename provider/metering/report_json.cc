#include "provider/metering/report_json.h"

#include "provider/metering/json_fields.h"

#include <utility>

namespace farlet::metering {
namespace {

constexpr int64_t kMost = int64_t{1} << 60;
constexpr size_t kMostLines = 100'000;

Status ReadTotal(const Json& json, Report& report) {
  if (!json.is_object()) {
    return InvalidArgument("must be an object");
  }
  Group group;
  GroupTotal total;
  FARLET_ASSIGN(group.object_namespace, TextAt(json, "namespace"));
  FARLET_ASSIGN(group.profile, TextAt(json, "profile"));
  FARLET_ASSIGN(total.pods, NumberAt(json, "pods", kMost));
  FARLET_ASSIGN(total.running, NumberAt(json, "running", kMost));
  FARLET_ASSIGN(total.charge, ChargeFromJson(json, kMost));
  report.totals[group] += total;
  return {};
}

Status ReadPod(const Json& json, Report& report) {
  if (!json.is_object() || !json.contains("run")) {
    return InvalidArgument("must be an object with a run");
  }
  PodLine line;
  FARLET_ASSIGN(line.run, PodRunFromJson(json["run"]));
  FARLET_ASSIGN(const int64_t billed, NumberAt(json, "billedSeconds", kMost));
  line.billed = seconds(billed);
  FARLET_ASSIGN(line.charge, ChargeFromJson(json, kMost));
  report.pods.push_back(std::move(line));
  return {};
}

Status ReadList(const Json& json,
                const char* key,
                Status (*read)(const Json&, Report&),
                Report& report) {
  const auto list = json.find(key);
  if (list == json.end() || !list->is_array() || list->size() > kMostLines) {
    return InvalidArgument(fmt::format("{}: must be a list of at most {}", key, kMostLines));
  }
  for (const Json& item : *list) {
    FARLET_TRY(Annotate(read(item, report), key));
  }
  return {};
}

// number / 10^digits
std::string Decimal(int64_t number, int digits) {
  std::string text = fmt::format("{:0{}}", number, digits + 1);
  text.insert(text.size() - static_cast<size_t>(digits), ".");
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') {
    text.pop_back();
  }
  return text;
}

}  // namespace

Json ReportToJson(const Report& report) {
  Json totals = Json::array();
  for (const auto& [group, total] : report.totals) {
    Json item = {{"namespace", group.object_namespace},
                 {"profile", group.profile},
                 {"pods", total.pods},
                 {"running", total.running}};
    ChargeToJson(total.charge, item);
    totals.push_back(std::move(item));
  }
  Json pods = Json::array();
  for (const PodLine& line : report.pods) {
    Json item = {{"run", PodRunToJson(line.run)}, {"billedSeconds", line.billed.count()}};
    ChargeToJson(line.charge, item);
    pods.push_back(std::move(item));
  }
  return {{"kind", "CostReport"},
          {"apiVersion", "farlet.dev/v1alpha1"},
          {"wholeDay", report.whole_day},
          {"totals", std::move(totals)},
          {"pods", std::move(pods)}};
}

Result<Report> ReportFromJson(const Json& json) {
  if (!json.is_object() || json.value("kind", Json()) != "CostReport" ||
      json.value("apiVersion", Json()) != "farlet.dev/v1alpha1") {
    return InvalidArgument("the answer is no CostReport of farlet.dev/v1alpha1");
  }
  Report report;
  FARLET_TRY(ReadList(json, "totals", ReadTotal, report));
  FARLET_TRY(ReadList(json, "pods", ReadPod, report));
  report.whole_day = json.value("wholeDay", Json()) == true;
  return report;
}

std::string CpuText(int64_t milli_cpus) {
  return Decimal(milli_cpus, 3);
}

std::string GigabyteText(int64_t mebibytes) {
  constexpr int64_t kMiPerGi = 1024;
  constexpr int64_t kPart = 9'765'625;  // 10¹⁰ / 1024
  const std::string part = Decimal(mebibytes % kMiPerGi * kPart, 10);
  return std::to_string(mebibytes / kMiPerGi) + part.substr(1);
}

}  // namespace farlet::metering
