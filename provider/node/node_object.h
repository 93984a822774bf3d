#pragma once

#include "provider/node/conditions.h"
#include "provider/node/facts.h"

#include <string>
#include <vector>

// The Node object, from plain facts. Pure functions.
namespace farlet::node {

// Who runs a node. Another agent (or kubelet) that registers under the same name has another one,
// or none.
inline constexpr char kAgentAnnotation[] = "farlet.dev/agent-id";

// What the agent calls itself there: the same after a restart, another on another machine.
std::string AgentId(const HostFacts& host);

// Default labels (os, arch, hostname) with the configured ones.
StringMap NodeLabels(const NodeSettings& settings, const HostFacts& host);

// The object to create; status is that of BuildStatus.
Json BuildNode(const NodeSettings& settings, const HostFacts& host, Json status);

// An existing node brought to what this agent wants of its metadata: labels, annotations.
Json AdoptNode(Json node, const NodeSettings& settings, const HostFacts& host);

struct StatusInput {
  const NodeSettings& settings;
  const HostFacts& host;
  const Capacity& capacity;
  std::vector<std::string> ips;  // primary first
  const RuntimeFacts& runtime;
  Pressure pressure;
  SteadyTime now;
  WallTime wall_now;
};

// `before` (status of the node as it is, or null) brought up to date. What is not ours stays.
Json BuildStatus(const Json& before, const StatusInput& input);

// Empty when this agent may run the node; else one line that says who seems to run it. A node whose
// agent is known to be gone (Ready is Unknown) may be taken over.
std::string ForeignOwner(const Json& node, const HostFacts& host);

}  // namespace farlet::node
