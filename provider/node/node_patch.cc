#include "provider/node/node_patch.h"

#include "kube/api/quantity.h"

#include <algorithm>
#include <utility>

namespace farlet::node {
namespace {

const Json& At(const Json& object, const char* member) {
  static const Json kNull;
  if (!object.is_object()) {
    return kNull;
  }
  const auto found = object.find(member);
  return found != object.end() ? *found : kNull;
}

// Merge patch of two maps: changed members, null for the removed. Lists are replaced.
Json MapPatch(const Json& before, const Json& after) {
  Json patch = Json::object();
  if (before.is_object()) {
    for (const auto& [member, value] : before.items()) {
      if (!after.contains(member)) {
        patch[member] = nullptr;
      }
    }
  }
  for (const auto& [member, value] : after.items()) {
    const Json& known = At(before, member.c_str());
    if (known == value) {
      continue;
    }
    patch[member] = known.is_object() && value.is_object() ? MapPatch(known, value) : value;
  }
  return patch;
}

Json ConditionPatch(const Json& before, const Json& after) {
  Json changed = Json::array();
  for (const Json& condition : after) {
    const bool known =
        before.is_array() && std::find(before.begin(), before.end(), condition) != before.end();
    if (!known) {
      changed.push_back(condition);
    }
  }
  return changed;
}

bool SameQuantity(const Json& one, const Json& other) {
  if (!one.is_string() || !other.is_string()) {
    return false;
  }
  const auto first = kube::Quantity::Parse(one.get_ref<const std::string&>());
  const auto second = kube::Quantity::Parse(other.get_ref<const std::string&>());
  return first && second && *first == *second;
}

// The API server spells quantities its own way ("2000" as "2k"): what means the same is no change.
void KeepSpelling(const Json& before, Json& after) {
  for (const char* list : {"capacity", "allocatable"}) {
    const Json& known = At(before, list);
    if (!At(after, list).is_object()) {
      continue;
    }
    Json& wanted = after[list];
    for (auto entry = wanted.begin(); entry != wanted.end(); ++entry) {
      if (const Json& spelled = At(known, entry.key().c_str());
          SameQuantity(spelled, entry.value())) {
        entry.value() = spelled;
      }
    }
  }
}

Json StatusPatch(const Json& before, const Json& after) {
  Json bare_before = before.is_object() ? before : Json::object();
  Json bare_after = after.is_object() ? after : Json::object();
  for (const char* special : {"conditions", "addresses"}) {
    bare_before.erase(special);
    bare_after.erase(special);
  }
  KeepSpelling(bare_before, bare_after);
  Json patch = MapPatch(bare_before, bare_after);
  if (Json conditions = ConditionPatch(At(before, "conditions"), At(after, "conditions"));
      !conditions.empty()) {
    patch["conditions"] = std::move(conditions);
  }
  if (At(before, "addresses") != At(after, "addresses")) {
    Json addresses = At(after, "addresses");
    addresses.push_back({{"$patch", "replace"}});
    patch["addresses"] = std::move(addresses);
  }
  return patch;
}

Json WithoutHeartbeats(Json node) {
  if (node.is_object() && node.contains("status") && node["status"].contains("conditions")) {
    for (Json& condition : node["status"]["conditions"]) {
      condition.erase("lastHeartbeatTime");
    }
  }
  return node;
}

}  // namespace

Json NodePatch(const Json& before, const Json& after) {
  Json patch = Json::object();
  for (const char* map : {"labels", "annotations"}) {
    const Json& wanted = At(At(after, "metadata"), map);
    const Json changed =
        MapPatch(At(At(before, "metadata"), map), wanted.is_object() ? wanted : Json::object());
    if (!changed.empty()) {
      patch["metadata"][map] = changed;
    }
  }
  Json status = StatusPatch(At(before, "status"), At(after, "status"));
  if (!status.empty()) {
    patch["status"] = std::move(status);
  }
  return patch.empty() ? Json() : patch;
}

bool DiffersBesidesHeartbeat(const Json& before, const Json& after) {
  return !NodePatch(WithoutHeartbeats(before), WithoutHeartbeats(after)).is_null();
}

}  // namespace farlet::node
