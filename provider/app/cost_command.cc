#include "provider/app/cost_command.h"

#include "kube/client/client.h"
#include "provider/app/api_access.h"
#include "provider/app/cost_table.h"
#include "provider/metering/report_json.h"
#include "runtime/base/log.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <future>
#include <memory>
#include <utility>
#include <vector>

namespace farlet::app {
namespace {

using kube::Json;

constexpr int kIncomplete = 1;
constexpr int kError = 2;
// What farlet calls its kubelet's version: how its nodes are told from others.
constexpr char kVersionMark[] = "-farlet.";
// A node that is down takes the API server some seconds to notice.
constexpr milliseconds kPatience{20'000};

Result<metering::CostQuery> QueryOf(const CostCommand& command, WallTime now) {
  std::vector<std::pair<std::string, std::string>> parameters;
  if (!command.object_namespace.empty()) {
    parameters.emplace_back("namespace", command.object_namespace);
  }
  auto query = metering::ParseCostQuery(parameters);
  if (query && !command.since.empty()) {
    FARLET_ASSIGN(query->since, Annotate(ParseSince(command.since, now), "--since"));
  }
  if (query) {
    query->pods = command.pods;
  }
  return query;
}

Result<std::vector<std::string>> FarletNodes(kube::Client& client) {
  FARLET_ASSIGN(const Json list, kube::Await<Json>([&](auto done) {
                  client.Get("/api/v1/nodes", {}, {.deadline = kPatience}, std::move(done));
                }));
  std::vector<std::string> names;
  for (const Json& node : list.value("items", Json::array())) {
    const auto version =
        node.value(Json::json_pointer("/status/nodeInfo/kubeletVersion"), std::string());
    if (version.find(kVersionMark) != std::string::npos) {
      names.push_back(node.value(Json::json_pointer("/metadata/name"), std::string()));
    }
  }
  if (names.empty()) {
    return NotFound(
        fmt::format("the cluster has no farlet node (kubeletVersion with \"{}\")", kVersionMark));
  }
  std::sort(names.begin(), names.end());
  return names;
}

// All at once; a node that does not answer is noted with the reason.
void AskNodes(kube::Client& client, const std::vector<std::string>& nodes, CostSummary& summary) {
  using Answer = Result<Json>;
  std::vector<std::future<Answer>> answers;
  const auto parameters = metering::CostParameters(summary.query);
  for (const std::string& node : nodes) {
    auto promise = std::make_shared<std::promise<Answer>>();
    answers.push_back(promise->get_future());
    client.Get(kube::ResourcePath("v1", "nodes", {}, node, "proxy") + "/farlet/cost",
               {parameters.begin(), parameters.end()}, {.deadline = kPatience, .retry = false},
               [promise](Answer answer) { promise->set_value(std::move(answer)); });
  }
  for (size_t i = 0; i < nodes.size(); ++i) {
    const Answer answer = answers[i].get();
    auto report =
        answer ? metering::ReportFromJson(*answer) : Result<metering::Report>(answer.error());
    if (report) {
      AddReport(nodes[i], std::move(*report), summary);
    } else {
      summary.silent.emplace_back(nodes[i], report.error().message);
    }
  }
}

Result<CostSummary> Summarize(const CostCommand& command) {
  const RealClock clock;
  TimerService timers(clock);
  CostSummary summary;
  FARLET_ASSIGN(summary.query, QueryOf(command, clock.WallNow()));
  FARLET_ASSIGN(const auto client, ConnectApi(command.kubeconfig, clock, timers));
  FARLET_ASSIGN(const std::vector<std::string> nodes, FarletNodes(*client));
  AskNodes(*client, nodes, summary);
  if (summary.nodes.empty()) {
    return Unavailable(fmt::format("none of {} farlet nodes has answered; {}: {}", nodes.size(),
                                   summary.silent.front().first, summary.silent.front().second));
  }
  return summary;
}

}  // namespace

void AddCostCommand(CLI::App& app, CostCommand& command) {
  CLI::App* cost = app.add_subcommand(
      "cost", "what pods of Fargate profiles have cost, by namespace and profile");
  cost->callback([&command] { command.chosen = true; });
  cost->add_option("--kubeconfig", command.kubeconfig,
                   "how to reach the API server; default: $KUBECONFIG, in-cluster, ~/.kube");
  cost->add_option("-n,--namespace", command.object_namespace, "only this namespace");
  cost->add_option("--since", command.since,
                   "only what came after this: a span (24h, 7d) or an RFC 3339 time");
  cost->add_option("-o,--output", command.output, "table or json")
      ->check(CLI::IsMember({"table", "json"}));
  cost->add_flag("--pods", command.pods, "each pod, too, and where the time of its start went");
}

int RunCostCommand(const CostCommand& command) {
  log::SetLevel(log::Level::kError);
  const auto summary = Summarize(command);
  if (!summary) {
    fmt::print(stderr, "farlet: {}\n", summary.error().message);
    return kError;
  }
  if (command.output == "json") {
    fmt::print("{}\n", CostJson(*summary).dump(2));
  } else {
    fmt::print("{}", CostTable(*summary));
  }
  for (const auto& [node, why] : summary->silent) {
    fmt::print(stderr, "farlet: node {} has not answered and is missing in the sums: {}\n", node,
               why);
  }
  if (summary->whole_day && command.output == "table") {
    fmt::print(stderr,
               "farlet: older pods are known by the day only: all of the first day is counted\n");
  }
  return summary->silent.empty() ? 0 : kIncomplete;
}

}  // namespace farlet::app
