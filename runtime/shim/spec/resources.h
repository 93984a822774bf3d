#pragma once

#include "proto/guest/v1/guest.pb.h"
#include "runtime/shim/spec/cursor.h"

#include <cstdint>

namespace farlet::shim {

// linux.resources, whose values are cgroup v1's, as cgroup v2 values. Left out are the host's
// cpuset (its numbers mean nothing in the guest) and what only v1 has. A limit of 0 is "not given".
guest::v1::Resources TranslateResources(const Cursor& resources);

// cgroup v1's cpu.shares (2 to 262144) as cgroup v2's cpu.weight (1 to 10000).
uint64_t WeightOfShares(uint64_t shares);

}  // namespace farlet::shim
