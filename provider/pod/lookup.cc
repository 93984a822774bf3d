#include "provider/pod/lookup.h"

#include "provider/pod/planner.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace farlet::pod {
namespace {

using nlohmann::json;

Error HttpError(Code code, int http_status, std::string message) {
  Error error = MakeError(code, std::move(message));
  error.http_status = http_status;
  return error;
}

Error NoPod(std::string_view name) {
  return HttpError(Code::kNotFound, 404, fmt::format("pod \"{}\" does not exist", name));
}

bool HasContainer(const kube::Pod& pod, const std::string& name) {
  for (const auto* group : {&pod.spec.containers, &pod.spec.init_containers}) {
    for (const kube::Container& container : *group) {
      if (container.name == name) {
        return true;
      }
    }
  }
  return false;
}

std::vector<const cri::PodContainer*> InstancesOf(const PodView& view, const std::string& name) {
  std::vector<const cri::PodContainer*> instances;
  if (view.runtime) {
    for (const cri::PodContainer& container : view.runtime->containers) {
      if (ContainerName(container.status) == name) {
        instances.push_back(&container);
      }
    }
  }
  return instances;
}

// state.waiting.reason of a container in our status, or "".
std::string WaitingReasonOf(const PodView& view, const std::string& container) {
  if (!view.status) {
    return "ContainerCreating";
  }
  for (const char* list : {"containerStatuses", "initContainerStatuses"}) {
    const auto statuses = view.status->find(list);
    if (statuses == view.status->end() || !statuses->is_array()) {
      continue;
    }
    for (const json& status : *statuses) {
      if (status.value("name", "") == container) {
        return status.value(json::json_pointer("/state/waiting/reason"), "");
      }
    }
  }
  return {};
}

std::string WhyNoLog(const PodView& view, const std::string& container) {
  const std::string reason = WaitingReasonOf(view, container);
  const std::string& pod = view.pod->meta.name;
  if (reason == "ErrImagePull") {
    return fmt::format("container \"{}\" in pod \"{}\" is waiting to start: image can't be pulled",
                       container, pod);
  }
  if (reason == "ImagePullBackOff") {
    return fmt::format(
        "container \"{}\" in pod \"{}\" is waiting to start: trying and failing to pull image",
        container, pod);
  }
  return fmt::format("container \"{}\" in pod \"{}\" is waiting to start: {}", container, pod,
                     reason.empty() ? "ContainerCreating" : reason);
}

}  // namespace

json PodListJson(const std::vector<PodView>& pods) {
  json items = json::array();
  for (const PodView& view : pods) {
    if (!view.pod || !view.pod->raw) {
      continue;
    }
    json item = *view.pod->raw;
    if (view.status) {
      item["status"] = *view.status;
    }
    items.push_back(std::move(item));
  }
  return {{"kind", "PodList"},
          {"apiVersion", "v1"},
          {"metadata", json::object()},
          {"items", std::move(items)}};
}

json RunningPodsJson(const std::vector<PodView>& pods) {
  json items = json::array();
  for (const PodView& view : pods) {
    if (!view.runtime) {
      continue;
    }
    json containers = json::array();
    for (const cri::PodContainer& container : view.runtime->containers) {
      if (container.status.state == cri::ContainerState::kRunning) {
        containers.push_back({{"name", ContainerName(container.status)},
                              {"image", container.status.image},
                              {"resources", json::object()}});
      }
    }
    const bool up = std::any_of(
        view.runtime->sandboxes.begin(), view.runtime->sandboxes.end(),
        [](const auto& status) { return status.sandbox.state == cri::SandboxState::kReady; });
    if (containers.empty() && !up) {
      continue;
    }
    items.push_back({{"metadata",
                      {{"name", view.pod->meta.name},
                       {"namespace", view.pod->meta.object_namespace},
                       {"uid", view.pod->meta.uid},
                       {"creationTimestamp", nullptr}}},
                     {"spec", {{"containers", std::move(containers)}}},
                     {"status", json::object()}});
  }
  return {{"kind", "PodList"},
          {"apiVersion", "v1"},
          {"metadata", json::object()},
          {"items", std::move(items)}};
}

Result<PodView> FindPodView(const std::vector<PodView>& pods,
                            std::string_view pod_namespace,
                            std::string_view name,
                            std::string_view uid) {
  const PodView* found = nullptr;
  for (const PodView& view : pods) {
    const kube::ObjectMeta& meta = view.pod->meta;
    if (meta.object_namespace != pod_namespace || meta.name != name ||
        (!uid.empty() && meta.uid != uid)) {
      continue;
    }
    // Of two that follow each other under one name, the one that is not going away.
    if (found == nullptr || found->pod->meta.deletion_timestamp) {
      found = &view;
    }
  }
  if (found == nullptr) {
    return NoPod(name);
  }
  return *found;
}

Result<cri::ContainerId> RunningContainer(const PodView& view, const std::string& container) {
  for (const cri::PodContainer* instance : InstancesOf(view, container)) {
    if (instance->status.state == cri::ContainerState::kRunning) {
      return instance->status.id;
    }
  }
  return HttpError(Code::kNotFound, 404, fmt::format("container not found (\"{}\")", container));
}

Result<cri::SandboxId> RunningSandbox(const PodView& view) {
  if (view.runtime) {
    for (const cri::SandboxStatus& status : view.runtime->sandboxes) {
      if (status.sandbox.state == cri::SandboxState::kReady) {
        return status.sandbox.id;
      }
    }
  }
  return HttpError(Code::kNotFound, 404,
                   fmt::format("failed to find sandbox of pod \"{}\"", view.pod->meta.name));
}

Result<ContainerLog> FindContainerLog(const PodView& view,
                                      const std::string& container,
                                      bool previous) {
  const std::string& pod = view.pod->meta.name;
  if (!HasContainer(*view.pod, container)) {
    return HttpError(Code::kNotFound, 404,
                     fmt::format("container \"{}\" not found in pod \"{}\"", container, pod));
  }
  std::vector<const cri::PodContainer*> instances = InstancesOf(view, container);
  std::erase_if(instances, [](const cri::PodContainer* instance) {
    return instance->status.state == cri::ContainerState::kCreated;
  });
  if (previous) {
    // The newest that has ended while another follows or is to follow it.
    const bool newest_ended = !instances.empty() && IsEnded(instances.front()->status);
    const bool waits = newest_ended && !WaitingReasonOf(view, container).empty();
    const size_t index = waits ? 0 : 1;
    if (instances.size() <= index) {
      return HttpError(Code::kInvalidArgument, 400,
                       fmt::format("previous terminated container \"{}\" in pod \"{}\" not found",
                                   container, pod));
    }
    const cri::ContainerStatus& status = instances[index]->status;
    return ContainerLog{.id = status.id, .path = status.log_path, .running = false};
  }
  if (instances.empty()) {
    return HttpError(Code::kInvalidArgument, 400, WhyNoLog(view, container));
  }
  const cri::ContainerStatus& status = instances.front()->status;
  return ContainerLog{.id = status.id, .path = status.log_path, .running = !IsEnded(status)};
}

}  // namespace farlet::pod
