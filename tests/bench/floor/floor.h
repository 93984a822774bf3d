#pragma once

#include "runtime/base/result.h"
#include "runtime/cri/client.h"

#include <filesystem>
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

// Makes the pods, then removes them, also those of a run that failed. Blocks.
Result<FloorResult> MeasureFloor(cri::Client& client, const FloorOptions& options);

}  // namespace farlet::bench
