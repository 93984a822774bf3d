#pragma once

#include "kube/watch/object_cache.h"
#include "provider/pod/controller.h"
#include "provider/pod/cri_config.h"
#include "provider/pod/mailroom.h"
#include "provider/pod/plan.h"
#include "provider/pod/pod_events.h"
#include "provider/pod/prober.h"
#include "provider/pod/record.h"
#include "runtime/base/limiter.h"

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

namespace farlet::pod {

// How far the making of a container came when it ended.
enum class MadeStep {
  kCreate,
  kCancel,  // made, but the pod is ending: not started
  kStart,
  kStatus,
};

// The inside of PodController. Everything about one pod is done by the worker that handles its key;
// what workers share is guarded by the mutex that is named with it. Callbacks never touch it: they
// post letters (Mailroom).
class PodController::Impl {
 public:
  Impl(Dependencies dependencies, NodeContext node, Options options);
  ~Impl();

  void Start();
  void Stop();
  void SetNodeFacts(std::string host_ip, kube::ResourceList allocatable);
  void LookAgain();
  std::vector<PodView> Pods() const;

  bool Synced() const { return open_; }

  SteadyTime last_activity() const { return SteadyTime(SteadyTime::duration(last_activity_)); }

 private:
  using PodSnapshot = std::shared_ptr<const kube::Pod>;

  // The facts that one round of work on a pod starts from.
  struct Facts {
    cri::PodRuntimePtr runtime;  // what is ours; never null
    Wish wish = Wish::kRun;
    ProbeResults probes;
  };

  // controller.cc
  void Sync(const std::string& key);
  PodRecord* FindRecord(const std::string& uid, bool create);
  void OnPodChange(const PodSnapshot& before, const PodSnapshot& after);
  void OnObjectChange(const kube::ObjectKey& key);
  NodeContext Node() const;

  // sync.cc: one round of work on a pod.
  void Work(PodRecord& record, const PodSnapshot& snapshot);
  void Observe(PodRecord& record, const PodSnapshot& snapshot, const cri::PodRuntime& runtime);
  void FirstSight(PodRecord& record, const cri::PodRuntime& runtime);
  void Admit(PodRecord& record);
  void CheckDeadline(PodRecord& record);
  Wish DecideWish(PodRecord& record);
  void BeginEnding(PodRecord& record);
  void UpdateProbes(PodRecord& record, Facts& facts);
  Plan MakePlan(PodRecord& record, const Facts& facts);
  void AnnounceCrashLoops(PodRecord& record, const Plan& plan);
  void ForgetInstances(PodRecord& record, const cri::PodRuntime& runtime);
  void WakeLater(PodRecord& record, const Facts& facts, const Plan& plan);
  void Publish(const PodRecord& record, const Facts& facts);
  void TellMoment(const PodRecord& record, PodMoment moment);
  void TellView(const PodRecord& record, const Facts& facts);
  cri::PodRuntimePtr OwnRuntime(const std::string& uid) const;

  // report.cc: the status and who gets it.
  void Report(PodRecord& record, const Facts& facts, const Plan& plan);
  nlohmann::json MakeStatus(PodRecord& record, const Facts& facts, const Plan& plan);
  void ReadTerminationMessages(PodRecord& record, const cri::PodRuntime& runtime);
  void OnReport(PodRecord& record, StatusWriter::Report::Kind kind);
  void SaveCheckpoint(PodRecord& record);

  // operations.cc and its siblings: starting one action.
  void Execute(PodRecord& record, const Facts& facts, const Action& action);
  void Run(PodRecord& record, const Facts& facts, const PrepareVolumes& action);
  void Run(PodRecord& record, const Facts& facts, const EnsureImage& action);
  void Run(PodRecord& record, const Facts& facts, const CreateSandbox& action);
  void Run(PodRecord& record, const Facts& facts, const StartContainer& action);
  void Run(PodRecord& record, const Facts& facts, const StopSandbox& action);
  void Run(PodRecord& record, const Facts& facts, const RemoveSandbox& action);
  void Run(PodRecord& record, const Facts& facts, const KillContainer& action);
  void Run(PodRecord& record, const Facts& facts, const RemoveContainer& action);
  EnvContext MakeEnvContext(const PodRecord& record, const cri::PodRuntime& runtime) const;
  void OnSandboxCreated(PodRecord& record, const Result<cri::SandboxStatus>& status, bool running);
  void OnContainerMade(PodRecord& record,
                       const std::string& name,
                       MadeStep step,
                       const Status& result);
  void FailStart(PodRecord& record,
                 const std::string& name,
                 const std::string& reason,
                 const std::string& message);
  ContainerProgress& Progress(PodRecord& record, const std::string& name);
  Result<cri::ContainerConfig> PrepareContainer(PodRecord& record,
                                                const Facts& facts,
                                                const kube::Container& container,
                                                const StartContainer& action);
  // Pods that start or end in numbers go before what can be said later.
  void NoteCrowd();
  // A container or sandbox is about to be stopped; what it returns is to be called, on any thread,
  // when it has been.
  std::function<void()> BeginStop();
  // What the runtime calls the way in which this pod is to run.
  Result<std::string> HandlerOf(const kube::Pod& pod, const NodeContext& node) const;
  void RefreshThen(const std::string& uid, const std::string& operation, bool failed);
  kube::ObjectCache::Lookup LookUp(const kube::ObjectKey& key) const;

  // removal.cc: the end of a record, and what nobody knows any more.
  bool RemoveRest(PodRecord& record, const Facts& facts, const Plan& plan);
  bool RemoveFiles(PodRecord& record);
  void ForgetPod(const std::string& uid);
  void ConfirmOrphan(PodRecord& record);
  void OnOrphanAsked(PodRecord& record, const Result<bool>& exists);
  void Housekeeping();
  void OpenGate();
  void CollectFolders();

  const Dependencies deps_;
  const Options options_;
  mutable std::mutex node_mutex_;  // guards node_
  NodeContext node_;
  PodEvents events_;
  const ObjectLookup lookup_ = [this](const kube::ObjectKey& key) { return LookUp(key); };
  const std::shared_ptr<Mailroom> mail_;
  const std::shared_ptr<ConcurrencyLimiter> creations_;
  const std::shared_ptr<ConcurrencyLimiter> removals_;
  std::atomic<int> stops_{0};  // containers and sandboxes that are being stopped
  std::atomic<bool> open_{false};
  std::atomic<SteadyTime::rep> last_activity_{0};
  bool started_ = false;

  mutable std::mutex records_mutex_;  // guards the maps, not the records
  std::unordered_map<std::string, std::unique_ptr<PodRecord>> records_;
  std::unordered_map<std::string, PodView> views_;
  std::map<kube::ObjectKey, std::set<std::string>> users_;  // UIDs by what they refer to

  std::mutex admission_mutex_;  // guards active_; held while a pod is admitted
  std::map<std::string, PodSnapshot> active_;

  std::mutex checkpoints_mutex_;                       // guards checkpoints_
  std::map<std::string, nlohmann::json> checkpoints_;  // read at start, not yet taken up

  std::mutex random_mutex_;  // guards random_
  std::minstd_rand random_{std::random_device{}()};

  // Last: they call into what stands above.
  std::unique_ptr<ImagePuller> puller_;
  std::unique_ptr<Prober> prober_;
  std::unique_ptr<StatusWriter> writer_;
  std::unique_ptr<PodTokens> tokens_;
  std::unique_ptr<kube::ObjectCache> objects_;
  std::unique_ptr<kube::Informer<kube::Pod>> informer_;
};

}  // namespace farlet::pod
