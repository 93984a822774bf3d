#pragma once

#include "kube/api/pod.h"
#include "provider/pod/node_context.h"
#include "provider/pod/status.h"

#include <memory>
#include <optional>
#include <vector>

// Whether a pod may run here. All functions are pure. The message is what the event says; the
// status says "Pod was rejected: " before it.
namespace farlet::pod {

using PodList = std::vector<std::shared_ptr<const kube::Pod>>;

// Everything below, in this order. `active` are the pods that run here already (the pod itself
// may be among them).
std::optional<PodFailure> Admit(const kube::Pod& pod,
                                const PodList& active,
                                const NodeContext& node);

// A spec that was not understood (Pod::invalid), or uses what this node does not run: one message
// that names every such field. Reason "UnsupportedPodSpec".
std::optional<PodFailure> CheckSupported(const kube::Pod& pod);

// Sysctls that may reach beyond the pod: "SysctlForbidden".
std::optional<PodFailure> CheckSysctls(const kube::Pod& pod);

// Room for the pod: "OutOfpods", "OutOfcpu", "OutOfmemory", "OutOf<resource>".
std::optional<PodFailure> CheckResources(const kube::Pod& pod,
                                         const PodList& active,
                                         const NodeContext& node);

// A host port that another pod has: "NodePorts".
std::optional<PodFailure> CheckHostPorts(const kube::Pod& pod, const PodList& active);

}  // namespace farlet::pod
