#pragma once

#include <nlohmann/json.hpp>

#include <string>

namespace farlet::testing {

// Strategic merge as the API server does it, for the lists that nodes and pods have: conditions and
// addresses by type, containers, volumes and env by name, ownerReferences by uid, pod IPs by ip,
// finalizers as a set; all other lists (containerStatuses, taints, images) are replaced. Directives
// "$patch": "replace" | "delete" and "$deleteFromPrimitiveList/…" are obeyed, "$setElementOrder/…"
// and "$retainKeys" ignored.
void StrategicMerge(nlohmann::json& target, const nlohmann::json& patch);

// By media type of a PATCH request. False when the patch cannot be applied.
bool ApplyPatch(const std::string& content_type,
                const nlohmann::json& patch,
                nlohmann::json& object);

// "a=b,c!=d" on the object's own fields ("metadata.name", "spec.nodeName").
bool MatchesFields(const nlohmann::json& object, const std::string& selector);
// "a=b,c!=d,e,!f" on metadata.labels.
bool MatchesLabels(const nlohmann::json& object, const std::string& selector);

}  // namespace farlet::testing
