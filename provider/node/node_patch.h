#pragma once

#include "provider/node/conditions.h"

namespace farlet::node {

// The strategic merge patch that brings `before` to `after`, for PATCH nodes/NAME/status: labels,
// annotations and status. Conditions are merged by type; addresses are replaced whole (merging by
// type loses one of two InternalIPs, kubernetes issue 52333), as are images and runtimeHandlers.
// Null when nothing differs.
Json NodePatch(const Json& before, const Json& after);

// Whether the two differ in anything but condition heartbeats.
bool DiffersBesidesHeartbeat(const Json& before, const Json& after);

}  // namespace farlet::node
