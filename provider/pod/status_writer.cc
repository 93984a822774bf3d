#include "provider/pod/status_writer.h"

#include "provider/pod/status.h"
#include "runtime/base/log.h"

#include <nlohmann/json.hpp>

#include <cstdlib>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

namespace farlet::pod {
namespace {

using nlohmann::json;

constexpr milliseconds kRequestDeadline{30'000};

// Versions of one object grow (etcd revisions); 0 for what is not a number.
uint64_t VersionOf(const json& object) {
  const json::json_pointer pointer("/metadata/resourceVersion");
  if (!object.contains(pointer) || !object.at(pointer).is_string()) {
    return 0;
  }
  return std::strtoull(object.at(pointer).get_ref<const std::string&>().c_str(), nullptr, 10);
}

json StatusOf(const json& object) {
  const auto status = object.find("status");
  return status == object.end() ? json(nullptr) : *status;
}

// The object is not there, or another one has its name by now: to a patch with another uid the API
// server answers 422 "metadata.uid: … field is immutable", to a delete 409 "… UID in precondition".
bool IsGone(const Error& error) {
  const bool other_uid =
      (error.http_status == 422 && error.message.find("metadata.uid") != std::string::npos) ||
      (error.http_status == 409 && error.message.find("UID") != std::string::npos);
  return error.code == Code::kNotFound || other_uid;
}

}  // namespace

class StatusWriter::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(kube::Client& client,
       const Clock& clock,
       TimerService& timers,
       Options options,
       Listener listener)
      : client_(client),
        clock_(clock),
        timers_(timers),
        options_(options),
        listener_(std::move(listener)) {}

  void Submit(StatusUpdate update);
  void Forget(const std::string& uid);

  void SetCrowded(bool crowded) { crowded_ = crowded; }

  void Close();

 private:
  // Ready ones by what goes first.
  using Order = std::tuple<int, uint64_t, std::string>;

  struct Entry {
    explicit Entry(BackoffPolicy policy) : backoff(policy) {}

    StatusUpdate update;
    // What the API server is known to have.
    json known;
    uint64_t known_version = 0;
    bool wanted = false;  // the update has not been accepted yet
    bool in_flight = false;
    SteadyTime since;  // something has been wanted
    SteadyTime due;
    std::optional<Order> ready;
    Backoff backoff;
  };

  struct Job {
    std::string uid;
    std::string path;
    std::optional<json> patch;
    bool then_delete = false;
    Urgency urgency = Urgency::kNow;
  };

  void Schedule(const std::string& uid, Entry& entry);
  void WakeAt(const std::string& uid, SteadyTime due);
  void Wake(const std::string& uid);
  void Pump();
  std::optional<Job> NextJob();
  void Run(Job job);
  void Delete(const Job& job);
  void OnPatched(const Job& job, Result<json> answer);
  void OnDeleted(const Job& job, Result<json> answer);
  void OnFailed(const Job& job, const Error& error);
  void OnDone(const Job& job);
  void Drop(const std::string& uid);
  void Tell(Report report);

  kube::Client& client_;
  const Clock& clock_;
  TimerService& timers_;
  const Options options_;
  std::mutex mutex_;  // guards all below
  Listener listener_;
  std::map<std::string, Entry> entries_;
  std::set<Order> ready_;
  uint64_t sequence_ = 0;
  int in_flight_ = 0;
  std::atomic<bool> crowded_{false};
};

void StatusWriter::Impl::Submit(StatusUpdate update) {
  bool settled = false;
  const std::string uid = update.uid;
  const Urgency urgency = update.urgency;
  {
    const std::lock_guard lock(mutex_);
    Entry& entry = entries_.try_emplace(uid, options_.backoff).first->second;
    const uint64_t version = update.object ? VersionOf(*update.object) : 0;
    if (update.object && (entry.known.is_null() || version > entry.known_version)) {
      entry.known = StatusOf(*update.object);
      entry.known_version = version;
    }
    const bool repeated = entry.wanted && entry.update.urgency >= update.urgency;
    const SteadyTime now = clock_.Now();
    const SteadyTime due = update.urgency == Urgency::kSoon ? now + options_.soon : now;
    // A pod that changes all the time is written every so often nevertheless.
    const bool more = entry.wanted && !entry.in_flight;
    entry.since = more ? entry.since : now;
    entry.due = more ? std::min(entry.due, due) : due;
    entry.update = std::move(update);
    const bool differs =
        StatusPatch(uid, entry.known, entry.update.status).has_value() || entry.update.then_delete;
    settled = !differs && !entry.in_flight;
    entry.wanted = differs || entry.in_flight;
    if (settled && entry.ready) {
      ready_.erase(*std::exchange(entry.ready, std::nullopt));
    }
    if (!settled && !entry.in_flight && !(repeated && entry.ready)) {
      Schedule(uid, entry);
    }
  }
  if (settled) {
    Tell({.uid = uid, .kind = Report::Kind::kAccepted, .urgency = urgency});
  }
  Pump();
}

// Needs mutex_.
void StatusWriter::Impl::Schedule(const std::string& uid, Entry& entry) {
  if (entry.ready) {
    ready_.erase(*std::exchange(entry.ready, std::nullopt));
  }
  if (entry.due > clock_.Now()) {
    WakeAt(uid, entry.due);
    return;
  }
  entry.ready = Order{-static_cast<int>(entry.update.urgency), ++sequence_, uid};
  ready_.insert(*entry.ready);
}

void StatusWriter::Impl::WakeAt(const std::string& uid, SteadyTime due) {
  timers_.After(due - clock_.Now(), [weak = weak_from_this(), uid] {
    if (const auto self = weak.lock()) {
      self->Wake(uid);
    }
  });
}

void StatusWriter::Impl::Wake(const std::string& uid) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(uid);
    if (found == entries_.end() || !found->second.wanted || found->second.in_flight ||
        found->second.ready || found->second.due > clock_.Now()) {
      return;
    }
    Entry& entry = found->second;
    if (entry.update.urgency == Urgency::kSoon && crowded_) {
      entry.due = std::max(entry.due, entry.since + options_.soon_when_crowded);
    }
    Schedule(uid, entry);
  }
  Pump();
}

void StatusWriter::Impl::Pump() {
  while (true) {
    std::optional<Job> job;
    {
      const std::lock_guard lock(mutex_);
      job = NextJob();
    }
    if (!job) {
      return;
    }
    Run(std::move(*job));
  }
}

// Needs mutex_.
std::optional<StatusWriter::Impl::Job> StatusWriter::Impl::NextJob() {
  if (!listener_ || in_flight_ >= options_.max_in_flight || ready_.empty()) {
    return std::nullopt;
  }
  const std::string uid = std::get<2>(*ready_.begin());
  ready_.erase(ready_.begin());
  Entry& entry = entries_.at(uid);
  entry.ready.reset();
  entry.in_flight = true;
  entry.wanted = false;
  ++in_flight_;
  const StatusUpdate& update = entry.update;
  return Job{.uid = uid,
             .path = kube::ResourcePath("v1", "pods", update.pod_namespace, update.name),
             .patch = StatusPatch(uid, entry.known, update.status),
             .then_delete = update.then_delete,
             .urgency = update.urgency};
}

// Called by Pump() only.
void StatusWriter::Impl::Run(Job job) {
  if (!job.patch) {
    if (job.then_delete) {
      Delete(job);
    } else {
      OnDone(job);
    }
    return;
  }
  const json patch = *std::exchange(job.patch, std::nullopt);
  client_.Patch(job.path + "/status", kube::PatchType::kStrategicMerge, patch,
                {.deadline = kRequestDeadline, .retry = false},
                [weak = weak_from_this(), job](Result<json> answer) {
                  if (const auto self = weak.lock()) {
                    self->OnPatched(job, std::move(answer));
                  }
                });
}

void StatusWriter::Impl::Delete(const Job& job) {
  client_.Delete(job.path, {.grace_period_seconds = 0, .precondition_uid = job.uid},
                 {.deadline = kRequestDeadline, .retry = false},
                 [weak = weak_from_this(), job](Result<json> answer) {
                   if (const auto self = weak.lock()) {
                     self->OnDeleted(job, std::move(answer));
                   }
                 });
}

void StatusWriter::Impl::OnPatched(const Job& job, Result<json> answer) {
  if (!answer) {
    OnFailed(job, answer.error());
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(job.uid);
    if (found != entries_.end()) {
      found->second.known = StatusOf(*answer);
      found->second.known_version = VersionOf(*answer);
      found->second.backoff.Reset();
    }
  }
  if (job.then_delete) {
    Delete(job);
    return;
  }
  OnDone(job);
  Pump();
}

void StatusWriter::Impl::OnDeleted(const Job& job, Result<json> answer) {
  if (!answer && !IsGone(answer.error())) {
    OnFailed(job, answer.error());
    return;
  }
  Drop(job.uid);
  Tell({.uid = job.uid, .kind = Report::Kind::kGone, .urgency = job.urgency});
  Pump();
}

void StatusWriter::Impl::OnFailed(const Job& job, const Error& error) {
  const bool gone = IsGone(error);
  if (gone) {
    Drop(job.uid);
  } else {
    log::Warning("cannot write pod status", {{"uid", job.uid}, {"error", error}});
    const std::lock_guard lock(mutex_);
    --in_flight_;
    const auto found = entries_.find(job.uid);
    if (found != entries_.end()) {
      Entry& entry = found->second;
      entry.in_flight = false;
      entry.wanted = true;
      entry.due = clock_.Now() +
                  std::max(entry.backoff.Next(), error.retry_after.value_or(milliseconds(0)));
      WakeAt(job.uid, entry.due);
    }
  }
  Tell({.uid = job.uid,
        .kind = gone ? Report::Kind::kGone : Report::Kind::kRefused,
        .urgency = job.urgency});
  Pump();
}

void StatusWriter::Impl::OnDone(const Job& job) {
  bool accepted = true;
  {
    const std::lock_guard lock(mutex_);
    --in_flight_;
    const auto found = entries_.find(job.uid);
    if (found != entries_.end()) {
      Entry& entry = found->second;
      entry.in_flight = false;
      accepted = !entry.wanted;
      if (entry.wanted) {
        Schedule(job.uid, entry);
      }
    }
  }
  if (accepted) {
    Tell({.uid = job.uid, .kind = Report::Kind::kAccepted, .urgency = job.urgency});
  }
}

void StatusWriter::Impl::Drop(const std::string& uid) {
  const std::lock_guard lock(mutex_);
  --in_flight_;
  const auto found = entries_.find(uid);
  if (found != entries_.end()) {
    entries_.erase(found);
  }
}

void StatusWriter::Impl::Forget(const std::string& uid) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(uid);
  if (found == entries_.end()) {
    return;
  }
  if (found->second.ready) {
    ready_.erase(*found->second.ready);
  }
  entries_.erase(found);
}

void StatusWriter::Impl::Tell(Report report) {
  Listener listener;
  {
    const std::lock_guard lock(mutex_);
    listener = listener_;
  }
  if (listener) {
    listener(report);
  }
}

void StatusWriter::Impl::Close() {
  const std::lock_guard lock(mutex_);
  listener_ = nullptr;
}

StatusWriter::StatusWriter(kube::Client& client,
                           const Clock& clock,
                           TimerService& timers,
                           Options options,
                           Listener listener)
    : impl_(std::make_shared<Impl>(client, clock, timers, options, std::move(listener))) {}

StatusWriter::~StatusWriter() {
  impl_->Close();
}

void StatusWriter::Submit(StatusUpdate update) {
  impl_->Submit(std::move(update));
}

void StatusWriter::SetCrowded(bool crowded) {
  impl_->SetCrowded(crowded);
}

void StatusWriter::Forget(const std::string& uid) {
  impl_->Forget(uid);
}

}  // namespace farlet::pod
