#pragma once

#include "provider/pod/node_context.h"
#include "runtime/base/result.h"

#include <nlohmann/json_fwd.hpp>

#include <map>
#include <string>

namespace farlet::pod {

// Terminal statuses that the API server has not accepted yet (ARCHITECTURE rule 3): one file per
// pod, <root>/pods/<uid>/status.json, written atomically, with a version field. Short blocking I/O.
Status SaveStatusCheckpoint(const NodeContext& node,
                            const std::string& uid,
                            const nlohmann::json& status);
void RemoveStatusCheckpoint(const NodeContext& node, const std::string& uid);
// By UID. Files that cannot be understood are logged and left out.
std::map<std::string, nlohmann::json> LoadStatusCheckpoints(const NodeContext& node);

}  // namespace farlet::pod
