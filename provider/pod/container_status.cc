#include "provider/pod/container_status.h"

#include "kube/api/utf8.h"
#include "provider/pod/cri_config.h"
#include "runtime/base/time_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>

namespace farlet::pod {
namespace {

constexpr char kStatusUnknown[] = "ContainerStatusUnknown";
constexpr char kContainerCreating[] = "ContainerCreating";
constexpr char kPodInitializing[] = "PodInitializing";
constexpr int kUnknownExitCode = 137;
// All termination messages of a pod together.
constexpr size_t kMaxPodMessages = 12 * 1024;

Json UnknownEnd(const char* message) {
  return {{"reason", kStatusUnknown}, {"message", message}, {"exitCode", kUnknownExitCode}};
}

int64_t RestartCountOf(const cri::ContainerStatus& status) {
  const auto found = status.annotations.find(kRestartCountAnnotation);
  int64_t count = 0;
  if (found != status.annotations.end()) {
    const std::string& text = found->second;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
    if (error == std::errc() && end == text.data() + text.size() && count >= 0) {
      return count;
    }
  }
  return status.metadata.attempt;
}

int64_t RestartCountOf(const Json* old) {
  const Json* count = old == nullptr ? nullptr : Member(*old, "restartCount");
  return count != nullptr && count->is_number_integer() ? count->get<int64_t>() : 0;
}

// Builds the status of one container.
class StatusBuilder {
 public:
  StatusBuilder(const StatusInput& input, const kube::Container& container, ContainerKind kind)
      : in_(input), container_(container), kind_(kind) {
    const Json* status = in_.pod.raw == nullptr ? nullptr : Member(*in_.pod.raw, "status");
    const char* list = kind == ContainerKind::kInit ? "initContainerStatuses" : "containerStatuses";
    const Json* statuses = status == nullptr ? nullptr : Member(*status, list);
    old_ = statuses == nullptr ? nullptr : FindStatus(*statuses, container.name);
    for (const cri::ContainerView& view : in_.runtime.containers) {
      if (view.status.metadata.name == container.name) {
        instances_.push_back(&view.status);
      }
    }
  }

  Json Build() {
    if (instances_.empty()) {
      SetForgotten();
    } else {
      SetFromRuntime();
    }
    if (!in_.finished && !SetCompletedInit()) {
      SetWaitingReason();
    }
    SetReady();
    LimitMessages();
    return std::move(status_);
  }

 private:
  const char* DefaultReason() const {
    return in_.pod.spec.init_containers.empty() ? kContainerCreating : kPodInitializing;
  }

  Json WaitingState() const { return {{"waiting", {{"reason", DefaultReason()}}}}; }

  // The runtime has no container of this name: it is still to come, or was removed.
  void SetForgotten() {
    if (FindState(old_, "state", "terminated") != nullptr) {
      status_ = *old_;
      return;
    }
    status_ = {{"name", container_.name},
               {"image", container_.image},
               {"imageID", ""},
               {"state", WaitingState()},
               {"lastState", Json::object()},
               {"restartCount", RestartCountOf(old_)}};
    if (const Json* last = FindState(old_, "lastState", "terminated")) {
      status_["lastState"]["terminated"] = *last;
    } else if (FindState(old_, "state", "running") != nullptr) {
      // It ran and is gone: not the same as never having run.
      status_["lastState"]["terminated"] = UnknownEnd(
          "The container could not be located when the pod was deleted.  "
          "The container used to be Running");
      if (!in_.pod.meta.deletion_timestamp) {
        status_["restartCount"] = RestartCountOf(old_) + 1;
      }
    }
  }

  void SetFromRuntime() {
    const cri::ContainerStatus& newest = *instances_.front();
    status_ = {{"name", container_.name},
               {"image", newest.image.empty() ? container_.image : kube::ValidUtf8(newest.image)},
               {"imageID", kube::ValidUtf8(newest.image_ref)},
               {"containerID", "containerd://" + newest.id.value},
               {"state", StateOf(newest)},
               {"lastState", Json::object()},
               {"restartCount", std::max(RestartCountOf(newest), RestartCountOf(old_))}};
    CarryOver(newest);
    if (instances_.size() > 1 && instances_[1]->state == cri::ContainerState::kExited) {
      status_["lastState"] = StateOf(*instances_[1]);
    }
  }

  // What the API knows of an instance that the runtime has forgotten.
  void CarryOver(const cri::ContainerStatus& newest) {
    if (old_ == nullptr) {
      return;
    }
    const bool same = TextOf(*old_, "containerID") == TextOf(status_, "containerID");
    const Json* end = FindState(old_, "state", "terminated");
    const Json* last = FindState(old_, "lastState", "terminated");
    if (!same && end != nullptr) {
      status_["lastState"]["terminated"] = *end;
      if (newest.state == cri::ContainerState::kRunning) {
        status_["restartCount"] = std::max(RestartCountOf(newest), RestartCountOf(old_) + 1);
      }
    } else if (last != nullptr) {
      status_["lastState"]["terminated"] = *last;
    }
  }

  Json StateOf(const cri::ContainerStatus& status) const {
    switch (status.state) {
      case cri::ContainerState::kRunning:
        return {{"running", {{"startedAt", FormatRfc3339(status.started_at)}}}};
      case cri::ContainerState::kExited:
        return {{"terminated", EndOf(status)}};
      case cri::ContainerState::kUnknown:
        if (FindState(old_, "state", "running") != nullptr) {
          return {{"terminated",
                   UnknownEnd("The container could not be located when the pod was terminated")}};
        }
        if (const Json* end = FindState(old_, "state", "terminated");
            end != nullptr && TextOf(*old_, "containerID") == "containerd://" + status.id.value) {
          return {{"terminated", *end}};
        }
        break;
      case cri::ContainerState::kCreated:
        break;
    }
    return WaitingState();
  }

  Json EndOf(const cri::ContainerStatus& status) const {
    Json end = {{"exitCode", status.exit_code},
                {"startedAt", FormatRfc3339(status.started_at)},
                {"finishedAt", FormatRfc3339(status.finished_at)},
                {"containerID", "containerd://" + status.id.value}};
    if (!status.reason.empty()) {
      end["reason"] = kube::ValidUtf8(status.reason);
    }
    std::string message = status.message;
    const auto written = in_.termination_messages.find(status.id);
    if (written != in_.termination_messages.end() && !written->second.empty()) {
      message += (message.empty() ? "" : ": ") + written->second;
    }
    if (!message.empty()) {
      end["message"] = kube::ValidUtf8(message);
    }
    return end;
  }

  // True when the container is an init container that is through.
  bool SetCompletedInit() {
    if (kind_ != ContainerKind::kInit) {
      return false;
    }
    if (!instances_.empty()) {
      return instances_.front()->state == cri::ContainerState::kExited &&
             instances_.front()->exit_code == 0;
    }
    if (IsSidecar(container_) || FindState(&status_, "state", "waiting") == nullptr ||
        !AnyRegularContainer()) {
      return false;
    }
    status_["state"] = {
        {"terminated",
         {{"reason", "Completed"},
          {"message",
           "Unable to get init container status from container runtime and pod has been "
           "initialized, treat it as exited normally"},
          {"exitCode", 0}}}};
    return true;
  }

  bool AnyRegularContainer() const {
    return std::any_of(
        in_.runtime.containers.begin(), in_.runtime.containers.end(), [&](const auto& view) {
          return std::any_of(
              in_.pod.spec.containers.begin(), in_.pod.spec.containers.end(),
              [&](const auto& container) { return container.name == view.status.metadata.name; });
        });
  }

  bool WillBeStarted() const {
    if (in_.pod.meta.deletion_timestamp) {
      return false;
    }
    if (instances_.empty()) {
      return true;
    }
    const cri::ContainerStatus& newest = *instances_.front();
    switch (newest.state) {
      case cri::ContainerState::kRunning:
        return false;
      case cri::ContainerState::kExited:
        return RestartsAfter(in_.pod.spec, container_, newest.exit_code);
      case cri::ContainerState::kCreated:
      case cri::ContainerState::kUnknown:
        break;
    }
    return true;
  }

  void SetWaitingReason() {
    const auto found = in_.waiting.find(container_.name);
    if (found == in_.waiting.end() || !WillBeStarted()) {
      return;
    }
    if (const Json* end = FindState(&status_, "state", "terminated")) {
      const Json last = *end;
      status_["lastState"] = {{"terminated", last}};
    }
    Json waiting = {{"reason", found->second.reason}};
    if (!found->second.message.empty()) {
      waiting["message"] = kube::ValidUtf8(found->second.message);
    }
    status_["state"] = {{"waiting", std::move(waiting)}};
  }

  void SetReady() {
    ProbeState probes;
    if (FindState(&status_, "state", "running") != nullptr && !instances_.empty()) {
      const auto found = in_.probes.find(instances_.front()->id);
      probes =
          found == in_.probes.end() ? ProbeState{.started = true, .ready = true} : found->second;
    }
    status_["started"] = probes.started;
    if (kind_ == ContainerKind::kInit && !IsSidecar(container_)) {
      const Json* end = FindState(&status_, "state", "terminated");
      status_["ready"] = end != nullptr && ExitCodeOf(*end) == 0;
    } else {
      status_["ready"] = probes.started && probes.ready;
    }
  }

  void LimitMessages() {
    const size_t containers = in_.pod.spec.containers.size() + in_.pod.spec.init_containers.size();
    const size_t limit = kMaxPodMessages / std::max<size_t>(containers, 1);
    for (const char* which : {"state", "lastState"}) {
      const Json* end = FindState(&status_, which, "terminated");
      std::string message = end == nullptr ? "" : TextOf(*end, "message");
      if (message.size() > limit) {
        message.resize(limit);
        status_[which]["terminated"]["message"] = kube::ValidUtf8(message);
      }
    }
  }

  const StatusInput& in_;
  const kube::Container& container_;
  const ContainerKind kind_;
  const Json* old_ = nullptr;
  std::vector<const cri::ContainerStatus*> instances_;  // newest first
  Json status_;
};

void SetVanished(Json& status) {
  if (FindState(&status, "state", "terminated") == nullptr) {
    status["state"] = {
        {"terminated",
         UnknownEnd("The container could not be located when the pod was terminated")}};
    status["ready"] = false;
    status["started"] = false;
  }
}

bool EverLeftWaiting(const Json& status) {
  return FindState(&status, "lastState", "terminated") != nullptr ||
         FindState(&status, "state", "waiting") == nullptr;
}

bool HasInitialized(const kube::Pod& pod, const Json& init_statuses, const Json& statuses) {
  if (pod.spec.init_containers.empty() ||
      std::any_of(statuses.begin(), statuses.end(), EverLeftWaiting)) {
    return true;
  }
  const Json& last = init_statuses.back();
  if (IsSidecar(pod.spec.init_containers.back())) {
    return last.value("started", false);
  }
  const Json* end = FindState(&last, "state", "terminated");
  return end != nullptr && ExitCodeOf(*end) == 0;
}

}  // namespace

Json MakeContainerStatuses(const StatusInput& input,
                           const std::vector<kube::Container>& containers,
                           ContainerKind kind) {
  std::vector<const kube::Container*> order;
  order.reserve(containers.size());
  for (const kube::Container& container : containers) {
    order.push_back(&container);
  }
  if (kind == ContainerKind::kRegular) {
    std::sort(order.begin(), order.end(),
              [](const auto* a, const auto* b) { return a->name < b->name; });
  }
  Json statuses = Json::array();
  for (const kube::Container* container : order) {
    statuses.push_back(StatusBuilder(input, *container, kind).Build());
  }
  return statuses;
}

void MarkVanished(const kube::Pod& pod, Json& init_statuses, Json& statuses) {
  if (HasInitialized(pod, init_statuses, statuses)) {
    for (Json& status : statuses) {
      SetVanished(status);
    }
  }
  // Init containers behind the last one that ever started were never due.
  size_t started = init_statuses.size();
  while (started > 0 && !EverLeftWaiting(init_statuses[started - 1])) {
    --started;
  }
  for (size_t i = 0; i < started; ++i) {
    SetVanished(init_statuses[i]);
  }
}

bool RestartsAfter(const kube::PodSpec& spec, const kube::Container& container, int64_t exit_code) {
  if (IsSidecar(container) || spec.restart_policy == "Always") {
    return true;
  }
  return spec.restart_policy == "OnFailure" && exit_code != 0;
}

bool IsSidecar(const kube::Container& container) {
  return container.restart_policy == "Always";
}

}  // namespace farlet::pod
