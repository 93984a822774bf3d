#pragma once

#include "provider/node/facts.h"

#include <nlohmann/json.hpp>

#include <string>
#include <vector>

namespace farlet::node {

using Json = nlohmann::json;

// The runtime is down when it has not answered for this long (the kubelet's runtimeState).
inline constexpr seconds kRuntimeDownAfter(30);

// Why the node is not ready, in the kubelet's words; empty: it is.
std::vector<std::string> NotReadyReasons(const RuntimeFacts& runtime,
                                         const ResourceList& capacity,
                                         SteadyTime now);

// The four conditions that a kubelet sets, Ready last, without times.
Json ComputeConditions(const Pressure& pressure, const std::vector<std::string>& not_ready);

// `before` (what the node has now) brought to `computed`: lastHeartbeatTime is now, and
// lastTransitionTime too where the status differs. Conditions of others stay.
Json StampConditions(const Json& before, const Json& computed, WallTime now);

// The node events for the step from `before` to `after`: "NodeReady", "NodeHasSufficientMemory", …
std::vector<std::string> ConditionEvents(const Json& before, const Json& after);

}  // namespace farlet::node
