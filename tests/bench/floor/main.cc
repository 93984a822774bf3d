#include "runtime/cri/grpc_client.h"
#include "tests/bench/floor/floor.h"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <limits>
#include <string>
#include <vector>

namespace {

using farlet::bench::FloorOptions;
using farlet::bench::FloorPhase;

double Quantile(std::vector<double> values, double share) {
  if (values.empty()) {
    return 0;
  }
  std::sort(values.begin(), values.end());
  const auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(values.size())));
  return values[std::max<size_t>(rank, 1) - 1];
}

nlohmann::ordered_json ToJson(const FloorPhase& phase) {
  nlohmann::ordered_json json{{"good", phase.done.size()},
                              {"total", phase.total},
                              {"done_p50", Quantile(phase.done, 0.5)},
                              {"done_p99", Quantile(phase.done, 0.99)},
                              {"took_p50", Quantile(phase.took, 0.5)},
                              {"took_p99", Quantile(phase.took, 0.99)}};
  for (const auto& [name, times] : phase.calls) {
    json["calls"][name] = {{"p50", Quantile(times, 0.5)}, {"p99", Quantile(times, 0.99)}};
  }
  return json;
}

int Run(const std::string& endpoint, const FloorOptions& options, bool hold) {
  const auto client = farlet::cri::ConnectGrpcClient(endpoint);
  if (!client) {
    std::cerr << "farlet-cri-floor: " << client.error().message << '\n';
    return 2;
  }
  const auto result = farlet::bench::MeasureFloor(**client, options, [hold] {
    if (hold) {
      std::cerr << "started\n";
      std::cin.ignore(std::numeric_limits<std::streamsize>::max());
    }
  });
  if (!result) {
    std::cerr << "farlet-cri-floor: " << result.error().message << '\n';
    return 1;
  }
  const nlohmann::ordered_json json{{"pods", options.pods},
                                    {"parallel", options.parallel},
                                    {"runtime_handler", options.runtime_handler},
                                    {"start", ToJson(result->start)},
                                    {"remove", ToJson(result->remove)}};
  std::cout << json.dump(2) << '\n';
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Makes and removes pods by bare CRI calls; prints the times as JSON.");
  std::string endpoint;
  bool hold = false;
  int64_t grace = 30;
  FloorOptions options;
  app.add_option("--endpoint", endpoint, "unix:///path/of/containerd.sock")->required();
  app.add_option("--pods", options.pods)->check(CLI::Range(1, 10000))->capture_default_str();
  app.add_option("--parallel", options.parallel)->check(CLI::Range(1, 1000))->capture_default_str();
  app.add_option("--runtime-handler", options.runtime_handler)->capture_default_str();
  app.add_option("--image", options.image, "of the container")->required();
  app.add_option("--pause-image", options.sandbox_image, "that the runtime uses for sandboxes")
      ->required();
  app.add_option("--cgroup-parent", options.cgroup_parent)->capture_default_str();
  app.add_option("--log-dir", options.log_folder)->capture_default_str();
  app.add_flag("--host-network", options.host_network, "without CNI");
  app.add_flag("--service-account", options.service_account,
               "with the volume and variables of a pod's account");
  app.add_option("--command", options.command, "of the container, a word each time");
  app.add_flag("--await-output", options.await_output, "a pod is started when it has written");
  app.add_option("--grace", grace, "of a removal, seconds")->capture_default_str();
  app.add_flag("--hold", hold, "say \"started\" on stderr, and go on at the end of stdin");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  options.grace = std::chrono::seconds(grace);
  return Run(endpoint, options, hold);
}
