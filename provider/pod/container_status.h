#pragma once

#include "kube/api/pod.h"
#include "provider/pod/status.h"
#include "runtime/cri/pod_runtime.h"

#include <nlohmann/json.hpp>

#include <string>
#include <vector>

// The parts of ComputeStatus(): container statuses as JSON in the API's form.
namespace farlet::pod {

using Json = nlohmann::json;

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

// The status of container `name` in a list of statuses, or nullptr.
const Json* FindStatus(const Json& statuses, const std::string& name);
// state.terminated and the like; nullptr when `status` is null or has no such object.
const Json* FindState(const Json* status, const char* which, const char* kind);
// A text of an object, "" when missing or not a text.
std::string TextOf(const Json& object, const char* key);
// `object[key]` when it is there and not null.
const Json* Member(const Json& object, const char* key);
int64_t ExitCodeOf(const Json& terminated);

// What is not valid UTF-8 becomes U+FFFD, as Go's JSON encoder does.
std::string ValidUtf8(const std::string& text);

}  // namespace farlet::pod
