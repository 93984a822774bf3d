#include "provider/pod/controller.h"

#include "provider/pod/controller_impl.h"
#include "provider/pod/status_checkpoint.h"

#include <algorithm>
#include <thread>
#include <utility>

namespace farlet::pod {
namespace {

// The key of what is not about one pod.
const std::string kHousekeeping;

// More at once only wait for the kernel's locks: beside them others' containers are made and
// started.
int SandboxCreations(int configured) {
  return configured > 0 ? configured
                        : std::max(2, static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace

PodController::Impl::Impl(Dependencies dependencies, NodeContext node, Options options)
    : deps_(std::move(dependencies)),
      options_(options),
      node_(std::move(node)),
      events_(deps_.recorder),
      mail_(std::make_shared<Mailroom>(deps_.clock)),
      creations_(
          std::make_shared<ConcurrencyLimiter>(SandboxCreations(options.max_sandbox_creations))),
      removals_(std::make_shared<ConcurrencyLimiter>(options.max_removals)) {
  deps_.cache.SetListener([mail = mail_](const std::string& uid) { mail->queue().Add(uid); });
}

PodController::Impl::~Impl() {
  Stop();
}

void PodController::Impl::Start() {
  const auto wake = [mail = mail_](const std::string& uid) { mail->queue().Add(uid); };
  puller_ = std::make_unique<ImagePuller>(deps_.runtime, events_, deps_.clock, options_.images);
  prober_ = std::make_unique<Prober>(deps_.runtime, deps_.net_prober, events_, deps_.clock,
                                     deps_.timers, wake);
  writer_ = std::make_unique<StatusWriter>(
      deps_.api, deps_.clock, deps_.timers, options_.status,
      [this, mail = mail_](const StatusWriter::Report& report) {
        // Only the end of a pod has consequences here.
        if (report.kind == StatusWriter::Report::Kind::kGone || report.urgency == Urgency::kFinal) {
          mail->Post(report.uid,
                     [this, kind = report.kind](PodRecord& record) { OnReport(record, kind); });
        }
      });
  if (deps_.make_tokens) {
    tokens_ = deps_.make_tokens([mail = mail_](const std::string& uid) {
      mail->Post(uid, [](PodRecord& record) {
        record.operations.Reset(kVolumesOperation);
        record.volumes_due = {};
      });
    });
  }
  objects_ = kube::MakeObjectCache(deps_.api, deps_.clock, deps_.timers,
                                   [this](const kube::ObjectKey& key) { OnObjectChange(key); });
  checkpoints_ = LoadStatusCheckpoints(Node());
  informer_ = std::make_unique<kube::Informer<kube::Pod>>(
      deps_.api, deps_.clock, deps_.timers,
      kube::ListWatchOptions{.path = "/api/v1/pods",
                             .query = {{"fieldSelector", "spec.nodeName=" + node_.node_name}}},
      [this](const PodSnapshot& before, const PodSnapshot& after) { OnPodChange(before, after); });
  started_ = true;
  mail_->queue().Start(options_.workers, [this](const std::string& key) { Sync(key); });
  informer_->Start();
  mail_->queue().Add(kHousekeeping);
}

void PodController::Impl::Stop() {
  if (!std::exchange(started_, false)) {
    return;
  }
  mail_->Close();
  informer_->Stop();
  mail_->queue().Stop();
  // No worker runs any more; now nothing may call back.
  objects_.reset();
  tokens_.reset();
  writer_.reset();
  prober_.reset();
  puller_.reset();
}

void PodController::Impl::SetNodeFacts(std::string host_ip, kube::ResourceList allocatable) {
  const std::lock_guard lock(node_mutex_);
  node_.host_ip = std::move(host_ip);
  node_.allocatable = std::move(allocatable);
}

NodeContext PodController::Impl::Node() const {
  const std::lock_guard lock(node_mutex_);
  return node_;
}

void PodController::Impl::OnPodChange(const PodSnapshot& before, const PodSnapshot& after) {
  mail_->queue().Add((after ? after : before)->meta.uid);
}

// Everybody who refers to the object looks again.
void PodController::Impl::OnObjectChange(const kube::ObjectKey& key) {
  std::set<std::string> users;
  {
    const std::lock_guard lock(records_mutex_);
    const auto found = users_.find(key);
    if (found != users_.end()) {
      users = found->second;
    }
  }
  for (const std::string& uid : users) {
    mail_->Post(uid, [](PodRecord& record) {
      record.volumes_due = {};
      record.operations.Reset(kVolumesOperation);
      for (auto& [name, progress] : record.containers) {
        record.operations.Reset(StartOperation(name));
      }
    });
  }
}

void PodController::Impl::LookAgain() {
  std::vector<std::string> waiting;
  {
    const std::lock_guard lock(records_mutex_);
    for (const auto& [uid, record] : records_) {
      waiting.push_back(uid);
    }
  }
  for (const std::string& uid : waiting) {
    mail_->queue().Add(uid);
  }
}

PodRecord* PodController::Impl::FindRecord(const std::string& uid, bool create) {
  const std::lock_guard lock(records_mutex_);
  const auto found = records_.find(uid);
  if (found != records_.end()) {
    return found->second.get();
  }
  if (!create) {
    return nullptr;
  }
  return records_.emplace(uid, std::make_unique<PodRecord>(uid)).first->second.get();
}

void PodController::Impl::Sync(const std::string& key) {
  last_activity_ = deps_.clock.Now().time_since_epoch().count();
  if (key == kHousekeeping) {
    Housekeeping();
    return;
  }
  if (!open_) {
    return;  // OpenGate() puts every key on the queue
  }
  const PodSnapshot snapshot = informer_->ByUid(key);
  const bool known = snapshot || OwnRuntime(key) != nullptr;
  PodRecord* record = FindRecord(key, known);
  std::vector<Mailroom::Letter> letters = mail_->Take(key);
  if (record == nullptr) {
    return;
  }
  for (const Mailroom::Letter& letter : letters) {
    letter(*record);
  }
  Work(*record, snapshot);
}

std::vector<PodView> PodController::Impl::Pods() const {
  std::vector<PodView> pods;
  const std::lock_guard lock(records_mutex_);
  pods.reserve(views_.size());
  for (const auto& [uid, view] : views_) {
    pods.push_back(view);
  }
  return pods;
}

PodController::PodController(Dependencies dependencies, NodeContext node, Options options)
    : impl_(std::make_unique<Impl>(std::move(dependencies), std::move(node), options)) {}

PodController::~PodController() = default;

void PodController::Start() {
  impl_->Start();
}

void PodController::Stop() {
  impl_->Stop();
}

void PodController::SetNodeFacts(std::string host_ip, kube::ResourceList allocatable) {
  impl_->SetNodeFacts(std::move(host_ip), std::move(allocatable));
}

void PodController::LookAgain() {
  impl_->LookAgain();
}

std::vector<PodView> PodController::Pods() const {
  return impl_->Pods();
}

bool PodController::Synced() const {
  return impl_->Synced();
}

SteadyTime PodController::last_activity() const {
  return impl_->last_activity();
}

}  // namespace farlet::pod
