#pragma once

#include "provider/pod/node_context.h"

#include <string>

namespace farlet::pod {

// A container's log and what was rotated away from it ("0.log", "0.log.20260102-030405", …).
void RemoveContainerLogs(const std::string& log_path);
// The log folders of a pod: NS_NAME_UID of any namespace and name.
void RemovePodLogs(const NodeContext& node, const std::string& uid);

}  // namespace farlet::pod
