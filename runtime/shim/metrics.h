#pragma once

#include "proto/containerd/types/wellknown.pb.h"
#include "proto/guest/v1/guest.pb.h"

namespace farlet::shim {

// The guest's numbers as containerd expects them on a host with this cgroup version:
// io.containerd.cgroups.v1.Metrics or io.containerd.cgroups.v2.Metrics.
wkt::Any MetricsOf(const guest::v1::StatsResponse& stats, bool cgroup_v2);

}  // namespace farlet::shim
