#pragma once

#include "provider/pod/status.h"
#include "runtime/cri/types.h"

#include <map>
#include <optional>
#include <string>

namespace farlet::pod {

enum class ProbeType { kStartup, kLiveness, kReadiness };

// What the probes say about one running container instance.
struct ProbeResult {
  ProbeState state;
  // The liveness or startup probe has failed for good: the container is to be killed.
  std::optional<ProbeType> failed;
};

// A container without an entry has no probes: it is started and ready as soon as it runs.
using ProbeResults = std::map<cri::ContainerId, ProbeResult>;

}  // namespace farlet::pod
