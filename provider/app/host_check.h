#pragma once

#include "runtime/vm/host_config.h"

#include <string>
#include <vector>

namespace farlet::app {

// One thing that pods in microVMs need of a host.
struct Finding {
  enum class Verdict {
    kGood,
    kPoor,     // pods run, and somebody may want it better
    kMissing,  // pods in microVMs do not start
  };

  std::string what;  // "acceleration"
  Verdict verdict = Verdict::kGood;
  std::string found;  // and, unless it is good, what to do
};

// Looks at this host and changes nothing on it, but for the kept answer of the acceleration's
// probe (see vm::ProbeAcceleration). Blocks for seconds. Needs root for a full answer. An empty
// `runtime_endpoint` leaves containerd out.
std::vector<Finding> CheckHost(const vm::HostConfig& config, const std::string& runtime_endpoint);

// "ok      acceleration  kvm: …", a line each.
std::string FormatFindings(const std::vector<Finding>& findings);

// Whether nothing is missing.
bool CanRunPods(const std::vector<Finding>& findings);

}  // namespace farlet::app
