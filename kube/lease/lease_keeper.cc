#include "kube/lease/lease_keeper.h"

#include "runtime/base/backoff.h"
#include "runtime/base/gate.h"
#include "runtime/base/log.h"
#include "runtime/base/time_format.h"

#include <algorithm>
#include <mutex>
#include <optional>
#include <random>
#include <utility>

namespace farlet::kube {
namespace {

constexpr char kGroupVersion[] = "coordination.k8s.io/v1";
constexpr BackoffPolicy kRetry{.initial = milliseconds(100), .max = milliseconds(7000)};
// After this many 409 in a row reading again is no longer immediate.
constexpr int kMaxConflicts = 5;
constexpr seconds kLogInterval(60);

}  // namespace

// One request or timer is outstanding at any time; the steps need no lock among themselves.
class LeaseKeeper::Impl : public std::enable_shared_from_this<LeaseKeeper::Impl> {
 public:
  Impl(Client& client, const Clock& clock, TimerService& timers, LeaseOptions options)
      : client_(client), clock_(clock), timers_(timers), options_(std::move(options)) {}

  Gate& gate() { return gate_; }

  void Start() {
    EnterStep(weak_from_this(), [](Impl& self) {
      if (!std::exchange(self.started_, true)) {
        self.Read();
      }
    });
  }

  void Stop() {
    gate_.Close();
    const std::lock_guard lock(mutex_);
    if (timer_) {
      timers_.Cancel(*timer_);
    }
  }

  void SetOwner(const std::string& node_uid) {
    const std::lock_guard lock(mutex_);
    if (std::exchange(owner_uid_, node_uid) != node_uid && timer_ && timers_.Cancel(*timer_)) {
      AfterLocked(milliseconds(0), &Impl::Read);
    }
  }

  SteadyTime last_renewal() const {
    const std::lock_guard lock(mutex_);
    return last_renewal_;
  }

 private:
  using Step = void (Impl::*)();

  std::string Path(bool with_name) const {
    return ResourcePath(kGroupVersion, "leases", options_.object_namespace,
                        with_name ? options_.name : std::string());
  }

  // A try is over before the next one is due.
  CallOptions Call() const { return {.deadline = options_.renew_interval, .retry = false}; }

  Callback<Json> Then(void (Impl::*step)(Result<Json>)) {
    return [weak = weak_from_this(), step](Result<Json> answer) {
      EnterStep(weak, [&](Impl& self) { (self.*step)(std::move(answer)); });
    };
  }

  void Read() { client_.Get(Path(true), {}, Call(), Then(&Impl::OnRead)); }

  void OnRead(Result<Json> answer) {
    if (answer) {
      lease_ = *std::move(answer);
      Renew();
    } else if (answer.error().code == Code::kNotFound) {
      Create();
    } else {
      Failed("read", answer.error());
    }
  }

  void Create() {
    lease_ =
        Json{{"apiVersion", kGroupVersion},
             {"kind", "Lease"},
             {"metadata", {{"name", options_.name}, {"namespace", options_.object_namespace}}}};
    Fill();
    client_.Create(Path(false), lease_, Call(), Then(&Impl::OnWritten));
  }

  void Renew() {
    Fill();
    client_.Replace(Path(true), lease_, Call(), Then(&Impl::OnWritten));
  }

  void OnWritten(Result<Json> answer) {
    if (answer) {
      lease_ = *std::move(answer);
      Renewed();
      return;
    }
    const Error& error = answer.error();
    const bool changed = error.code == Code::kAborted || error.code == Code::kNotFound ||
                         error.code == Code::kAlreadyExists || error.http_status == 409;
    // The namespace of node leases is made by the API server some time after its start; creating in
    // it answers "not found" until then, and reading again at once would not help.
    if (changed && ++conflicts_ <= kMaxConflicts) {
      Read();
      return;
    }
    Failed("renew", error);
  }

  void Renewed() {
    backoff_.Reset();
    conflicts_ = 0;
    if (std::exchange(failures_, 0) > 0) {
      log::Info("the node lease is renewed again", {{"lease", options_.name}});
    }
    bool owner_changed = false;
    {
      const std::lock_guard lock(mutex_);
      last_renewal_ = clock_.Now();
      owner_changed = owner_uid_ != filled_owner_;
    }
    if (owner_changed) {
      Renew();
      return;
    }
    std::uniform_real_distribution<double> share(0.0, options_.jitter);
    const auto extra = static_cast<double>(options_.renew_interval.count()) * share(random_);
    After(options_.renew_interval + milliseconds(static_cast<int64_t>(extra)), &Impl::Renew);
  }

  void Failed(const char* what, const Error& error) {
    const SteadyTime now = clock_.Now();
    if (++failures_ == 1 || now - last_logged_ >= kLogInterval) {
      last_logged_ = now;
      log::Warning("cannot keep the node lease, trying again",
                   {{"lease", options_.name}, {"step", what}, {"error", error}});
    }
    conflicts_ = 0;
    After(std::max(backoff_.Next(), error.retry_after.value_or(milliseconds(0))), &Impl::Read);
  }

  void After(milliseconds delay, Step step) {
    const std::lock_guard lock(mutex_);
    AfterLocked(delay, step);
  }

  // Needs mutex_.
  void AfterLocked(milliseconds delay, Step step) {
    timer_ = timers_.After(delay, [weak = weak_from_this(), step] {
      EnterStep(weak, [step](Impl& self) { (self.*step)(); });
    });
  }

  // Brings lease_ to what it is to be now.
  void Fill() {
    {
      const std::lock_guard lock(mutex_);
      filled_owner_ = owner_uid_;
    }
    Json& spec = lease_["spec"];
    spec["holderIdentity"] = options_.holder;
    spec["leaseDurationSeconds"] = options_.duration.count();
    spec["renewTime"] = FormatRfc3339Micro(clock_.WallNow());
    if (!filled_owner_.empty()) {
      lease_["metadata"]["ownerReferences"] = Json::array({{{"apiVersion", "v1"},
                                                            {"kind", "Node"},
                                                            {"name", options_.holder},
                                                            {"uid", filled_owner_}}});
    }
  }

  Client& client_;
  const Clock& clock_;
  TimerService& timers_;
  const LeaseOptions options_;
  Gate gate_;

  // Used by the one step that is running.
  bool started_ = false;
  Json lease_;                // as last seen
  std::string filled_owner_;  // the owner that it was given last
  Backoff backoff_{kRetry};
  int conflicts_ = 0;
  int failures_ = 0;
  SteadyTime last_logged_;
  std::minstd_rand random_{std::random_device{}()};

  mutable std::mutex mutex_;  // guards all below
  std::string owner_uid_;
  SteadyTime last_renewal_;
  std::optional<TimerService::Id> timer_;
};

LeaseKeeper::LeaseKeeper(Client& client,
                         const Clock& clock,
                         TimerService& timers,
                         LeaseOptions options)
    : impl_(std::make_shared<Impl>(client, clock, timers, std::move(options))) {}

LeaseKeeper::~LeaseKeeper() {
  impl_->Stop();
}

void LeaseKeeper::Start() {
  impl_->Start();
}

void LeaseKeeper::Stop() {
  impl_->Stop();
}

void LeaseKeeper::SetOwner(const std::string& node_uid) {
  impl_->SetOwner(node_uid);
}

SteadyTime LeaseKeeper::last_renewal() const {
  return impl_->last_renewal();
}

}  // namespace farlet::kube
