#pragma once

#include "runtime/base/result.h"
#include "runtime/cri/client.h"

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace farlet::bench {

struct FloorOptions {
  int pods = 10;
  int parallel = 4;
  std::string runtime_handler = "runc";
  std::string image;
  std::string sandbox_image;
  std::string cgroup_parent = "/kubepods/besteffort";
  std::filesystem::path log_folder = "/var/log/pods";
  bool host_network = false;
  bool service_account = false;  // with the volume and the variables of a pod that has one
  // Of the container, empty: the image's. With `await_output` a pod is started when it has written.
  std::vector<std::string> command;
  bool await_output = false;
  std::chrono::seconds grace{30};  // a pod's default terminationGracePeriodSeconds
};

// Durations in seconds.
struct FloorPhase {
  double total = 0;
  std::vector<double> done;  // of each pod, since the phase began
  std::vector<double> took;  // of each pod, since its first call
  std::map<std::string, std::vector<double>> calls;
};

struct FloorResult {
  FloorPhase start;
  FloorPhase remove;
};

// Makes the pods, then removes them, also those of a run that failed; `started` is called in
// between. Blocks.
Result<FloorResult> MeasureFloor(cri::Client& client,
                                 const FloorOptions& options,
                                 const std::function<void()>& started);

}  // namespace farlet::bench
