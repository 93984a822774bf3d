#pragma once

#include "kube/api/pod.h"
#include "provider/pod/node_context.h"
#include "runtime/base/result.h"
#include "runtime/cri/pod_runtime.h"

#include <nlohmann/json_fwd.hpp>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace farlet::pod {

// One pod as the controller sees it. Immutable.
struct PodView {
  std::shared_ptr<const kube::Pod> pod;
  std::shared_ptr<const nlohmann::json> status;  // ours; null before the first was computed
  cri::PodRuntimePtr runtime;                    // what is ours of it; null: nothing
};

// GET /pods: a v1 PodList with our view of each status.
nlohmann::json PodListJson(const std::vector<PodView>& pods);
// GET /runningpods/: name, namespace, uid and running containers, from the runtime.
nlohmann::json RunningPodsJson(const std::vector<PodView>& pods);

// All errors have the kubelet's text (kubelet-contract B8) and the HTTP status that goes with it.

// The pod of a name, or kNotFound.
Result<PodView> FindPodView(const std::vector<PodView>& pods,
                            std::string_view pod_namespace,
                            std::string_view name,
                            std::string_view uid = {});
// A running container, for exec and attach.
Result<cri::ContainerId> RunningContainer(const PodView& view, const std::string& container);
// The sandbox, for port-forward.
Result<cri::SandboxId> RunningSandbox(const PodView& view);

struct ContainerLog {
  cri::ContainerId id;
  std::string path;
  bool running = false;
};

// The log of the newest instance of a container, or of the one before it.
Result<ContainerLog> FindContainerLog(const PodView& view,
                                      const std::string& container,
                                      bool previous);

}  // namespace farlet::pod
