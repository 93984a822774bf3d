#pragma once

#include "kube/api/pod.h"
#include "provider/pod/status.h"
#include "provider/pod/status_json.h"
#include "runtime/cri/pod_runtime.h"

#include <nlohmann/json.hpp>

#include <string>
#include <vector>

// The parts of ComputeStatus(): container statuses as JSON in the API's form.
namespace farlet::pod {

enum class ContainerKind { kInit, kRegular };

// One status a container: init containers in spec order, the others by name.
Json MakeContainerStatuses(const StatusInput& input,
                           const std::vector<kube::Container>& containers,
                           ContainerKind kind);

// Once nothing runs any more: what has no end gets the end "ContainerStatusUnknown".
void MarkVanished(const kube::Pod& pod, Json& init_statuses, Json& statuses);

// Whether the runtime's restart policy starts it again after `exit_code`.
bool RestartsAfter(const kube::PodSpec& spec, const kube::Container& container, int64_t exit_code);

bool IsSidecar(const kube::Container& container);

}  // namespace farlet::pod
