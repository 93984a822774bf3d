#include "provider/pod/controller_impl.h"
#include "provider/pod/log_files.h"
#include "provider/pod/pod_cgroup.h"
#include "runtime/base/log.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <filesystem>
#include <system_error>

namespace farlet::pod {
namespace {

constexpr char kRemoveFiles[] = "remove-files";
constexpr char kConfirmOrphan[] = "confirm-orphan";
constexpr milliseconds kGatePoll{20};
// After this many tries, what still runs in a pod's cgroup is not about to end by itself.
constexpr int kPatientTries = 2;

// Whether a pod with that UID is in a PodList.
Result<bool> HasPod(const kube::Json& list, const std::string& uid) {
  const auto items = list.find("items");
  if (items == list.end() || !items->is_array()) {
    return Internal("the answer has no items");
  }
  return std::any_of(items->begin(), items->end(), [&](const kube::Json& pod) {
    return pod.value(kube::Json::json_pointer("/metadata/uid"), std::string()) == uid;
  });
}

// The folder goes last: by it CollectFolders() finds what an agent that died here has left.
Status RemoveTraces(const NodeContext& node, const kube::Pod& pod) {
  RemovePodLogs(node, pod.meta.uid);
  if (!RemovePodCgroup(node, pod)) {
    return Unavailable("its control group is still in use");
  }
  return RemovePodDirectory(node, pod.meta.uid);
}

// What runs although the runtime knows nothing of it. It is gone by the next try.
void KillForgotten(const NodeContext& node, const kube::Pod& pod) {
  if (const int killed = KillPodCgroup(node, pod); killed > 0) {
    log::Warning(
        "killed what the runtime had forgotten of a pod that is gone",
        {{"pod", pod.meta.name.empty() ? pod.meta.uid : pod.Format()}, {"processes", killed}});
  }
}

}  // namespace

// The last step of a pod: true when nothing of it is left and the record is gone.
bool PodController::Impl::RemoveRest(PodRecord& record, const Facts&, const Plan& plan) {
  if (!plan.empty) {
    return false;
  }
  if (!record.operations.MayBegin(kRemoveFiles, deps_.clock.Now())) {
    const auto retry = record.operations.RetryAt(kRemoveFiles);
    mail_->queue().AddAfter(record.uid, retry.value_or(deps_.clock.Now()) - deps_.clock.Now());
    return false;
  }
  if (!RemoveFiles(record)) {
    return false;
  }
  ForgetPod(record.uid);
  return true;
}

bool PodController::Impl::RemoveFiles(PodRecord& record) {
  const Status removed = RemoveTraces(Node(), *record.pod);
  if (!removed) {
    if (record.operations.Failures(kRemoveFiles) >= kPatientTries) {
      KillForgotten(Node(), *record.pod);
    }
    log::Warning("cannot remove what a pod left on the node, trying again",
                 {{"pod", record.pod->Format()}, {"error", removed.error()}});
    record.operations.Fail(kRemoveFiles, deps_.clock.Now());
    mail_->queue().AddAfter(record.uid,
                            *record.operations.RetryAt(kRemoveFiles) - deps_.clock.Now());
    return false;
  }
  return true;
}

void PodController::Impl::ForgetPod(const std::string& uid) {
  if (informer_->ByUid(uid)) {
    mail_->queue().AddAfter(uid, options_.gone_check);
  }
  objects_->SetReferences(uid, {});
  if (tokens_) {
    tokens_->Forget(uid);
  }
  puller_->Forget(uid);
  prober_->Forget(uid);
  writer_->Forget(uid);
  if (deps_.observer != nullptr) {
    deps_.observer->OnGone(uid, deps_.clock.WallNow());
  }
  {
    const std::lock_guard lock(admission_mutex_);
    active_.erase(uid);
  }
  {
    const std::lock_guard lock(checkpoints_mutex_);
    checkpoints_.erase(uid);
  }
  std::unique_ptr<PodRecord> gone;
  const std::lock_guard lock(records_mutex_);
  for (auto user = users_.begin(); user != users_.end();) {
    user->second.erase(uid);
    user = user->second.empty() ? users_.erase(user) : std::next(user);
  }
  views_.erase(uid);
  const auto record = records_.find(uid);
  if (record != records_.end()) {
    gone = std::move(record->second);
    records_.erase(record);
  }
}

// A list may come from a cache that lags behind: before something that runs is taken for forgotten,
// the API server is asked for that very pod. By a list, without a resourceVersion and so from the
// newest state: to a GET of a pod that does not exist the Node authorizer answers 403.
void PodController::Impl::ConfirmOrphan(PodRecord& record) {
  const SteadyTime now = deps_.clock.Now();
  if (!record.operations.MayBegin(kConfirmOrphan, now)) {
    if (const auto retry = record.operations.RetryAt(kConfirmOrphan)) {
      mail_->queue().AddAfter(record.uid, *retry - now);
    }
    return;
  }
  record.operations.Begin(kConfirmOrphan);
  const kube::ObjectMeta& meta = record.pod->meta;
  const std::string path = kube::ResourcePath("v1", "pods", meta.object_namespace, {});
  const kube::Query query{{"fieldSelector", fmt::format("spec.nodeName={},metadata.name={}",
                                                        Node().node_name, meta.name)}};
  deps_.api.Get(path, query, {}, [this, mail = mail_, uid = record.uid](Result<kube::Json> list) {
    const Result<bool> exists = list ? HasPod(*list, uid) : Result<bool>(list.error());
    mail->Post(uid, [this, exists](PodRecord& to) { OnOrphanAsked(to, exists); });
  });
}

void PodController::Impl::OnOrphanAsked(PodRecord& record, const Result<bool>& exists) {
  if (!record.orphan) {
    return;  // the informer was faster
  }
  if (exists && !*exists) {
    log::Info("removing what is left of a pod that is gone", {{"pod", record.pod->Format()}});
    record.gone = true;
    record.operations.Succeed(kConfirmOrphan);
    return;
  }
  if (!exists) {
    log::Warning("cannot ask whether a pod still exists",
                 {{"pod", record.pod->Format()}, {"error", exists.error()}});
  }
  record.operations.Fail(kConfirmOrphan, deps_.clock.Now());
}

// Waits for both lists and the admission, then looks every so often for what no event tells of.
void PodController::Impl::Housekeeping() {
  WorkQueue& queue = mail_->queue();
  if (!open_) {
    if (!deps_.cache.Synced() || !informer_->synced() || (deps_.ready && !deps_.ready())) {
      queue.AddAfter({}, kGatePoll);
      return;
    }
    OpenGate();
  }
  for (const cri::PodRuntimePtr& runtime : deps_.cache.All()) {
    if (FindRecord(runtime->uid, false) == nullptr && OwnRuntime(runtime->uid)) {
      queue.Add(runtime->uid);
    }
  }
  CollectFolders();
  queue.AddAfter({}, options_.garbage_period);
}

// Pods that run already count before any new one is admitted.
void PodController::Impl::OpenGate() {
  const std::vector<PodSnapshot> pods = informer_->All();
  {
    const std::lock_guard lock(admission_mutex_);
    for (const PodSnapshot& pod : pods) {
      const bool ended = IsTerminalPhase(pod->phase) || pod->invalid;
      if (!ended && OwnRuntime(pod->meta.uid)) {
        active_[pod->meta.uid] = pod;
      }
    }
  }
  open_ = true;
  for (const PodSnapshot& pod : informer_->All()) {
    mail_->queue().Add(pod->meta.uid);
  }
  log::Info("pods of the API server and of the runtime are known",
            {{"pods", pods.size()}, {"in the runtime", deps_.cache.All().size()}});
}

// Folders of pods that neither the API server nor the runtime knows: of an agent that died between
// the removal of a pod and that of its files.
void PodController::Impl::CollectFolders() {
  const NodeContext node = Node();
  const std::filesystem::path root = PodDirectory(node, "x").parent_path();
  std::vector<std::string> uids;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(root, error)) {
    uids.push_back(entry.path().filename().string());
  }
  for (const std::string& uid : uids) {
    if (informer_->ByUid(uid) || FindRecord(uid, false) != nullptr || deps_.cache.Get(uid)) {
      continue;
    }
    kube::Pod pod;
    pod.meta.uid = uid;
    if (const Status removed = RemoveTraces(node, pod); !removed) {
      log::Warning("cannot remove what a pod that is gone left on the node",
                   {{"uid", uid}, {"error", removed.error()}});
      KillForgotten(node, pod);
    }
  }
}

}  // namespace farlet::pod
