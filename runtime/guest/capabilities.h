#pragma once

#include "runtime/base/result.h"

#include <cstdint>
#include <string_view>

namespace farlet::guest {

namespace v1 {
class Capabilities;
}

// Bit N is capability N.
struct CapabilitySets {
  uint64_t bounding = 0;
  uint64_t effective = 0;
  uint64_t inheritable = 0;
  uint64_t permitted = 0;
  uint64_t ambient = 0;
};

// Errors: kInvalidArgument naming a capability that is unknown.
Result<CapabilitySets> ParseCapabilities(const v1::Capabilities& names);

// Of this process. The bounding set goes first, while CAP_SETPCAP is still there.
Status LimitBoundingSet(uint64_t keep);
Status SetCapabilities(const CapabilitySets& sets);

}  // namespace farlet::guest
