#pragma once

#include "proto/containerd/events/service.pb.h"
#include "proto/cri/v1/api.pb.h"
#include "runtime/base/result.h"
#include "runtime/cri/event_source.h"

#include <optional>
#include <string>
#include <vector>

namespace farlet::cri {

// The filters with which we subscribe to containerd's event service.
std::vector<std::string> ContainerdEventFilters();

// What an event means for us; nothing when it does not concern a container or sandbox as a whole
// (an exec's end). Error: kInternal for what no runtime should send (unreadable payload, no id).
Result<std::optional<RuntimeEvent>> ParseEvent(
    const ::containerd::services::events::v1::Envelope& envelope);
Result<std::optional<RuntimeEvent>> ParseEvent(const ::runtime::v1::ContainerEventResponse& event);

}  // namespace farlet::cri
