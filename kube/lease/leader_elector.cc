#include "kube/lease/leader_elector.h"

#include "runtime/base/gate.h"
#include "runtime/base/log.h"
#include "runtime/base/time_format.h"

#include <atomic>
#include <mutex>
#include <optional>
#include <utility>

namespace farlet::kube {
namespace {

constexpr char kGroupVersion[] = "coordination.k8s.io/v1";

const Json* Member(const Json& object, const char* key) {
  if (!object.is_object()) {
    return nullptr;
  }
  const auto found = object.find(key);
  return found == object.end() ? nullptr : &*found;
}

std::string SpecText(const Json& lease, const char* key) {
  const Json* spec = Member(lease, "spec");
  const Json* value = spec == nullptr ? nullptr : Member(*spec, key);
  return value != nullptr && value->is_string() ? value->get<std::string>() : std::string();
}

int64_t SpecNumber(const Json& lease, const char* key) {
  const Json* spec = Member(lease, "spec");
  const Json* value = spec == nullptr ? nullptr : Member(*spec, key);
  return value != nullptr && value->is_number_integer() ? value->get<int64_t>() : 0;
}

}  // namespace

// One request or timer is outstanding at any time; the steps need no lock among themselves.
class LeaderElector::Impl : public std::enable_shared_from_this<LeaderElector::Impl> {
 public:
  Impl(Client& client,
       const Clock& clock,
       TimerService& timers,
       LeaderOptions options,
       Listener listener)
      : client_(client),
        clock_(clock),
        timers_(timers),
        options_(std::move(options)),
        listener_(std::move(listener)) {}

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

  bool leading() const { return leading_; }

 private:
  std::string Path(bool with_name) const {
    return ResourcePath(kGroupVersion, "leases", options_.object_namespace,
                        with_name ? options_.name : std::string());
  }

  CallOptions Call() const { return {.deadline = options_.retry, .retry = false}; }

  Callback<Json> Then(void (Impl::*step)(Result<Json>)) {
    return [weak = weak_from_this(), step](Result<Json> answer) {
      EnterStep(weak, [&](Impl& self) { (self.*step)(std::move(answer)); });
    };
  }

  void Read() { client_.Get(Path(true), {}, Call(), Then(&Impl::OnRead)); }

  void OnRead(Result<Json> answer) {
    if (answer) {
      lease_ = *std::move(answer);
      Observe();
      if (MayTake()) {
        const bool taken_over = SpecText(lease_, "holderIdentity") != options_.identity;
        Fill(taken_over);
        client_.Replace(Path(true), lease_, Call(), Then(&Impl::OnWritten));
      } else {
        NotLeading("another one leads");
        Wait();
      }
    } else if (answer.error().code == Code::kNotFound) {
      lease_ =
          Json{{"apiVersion", kGroupVersion},
               {"kind", "Lease"},
               {"metadata", {{"name", options_.name}, {"namespace", options_.object_namespace}}}};
      Fill(true);
      client_.Create(Path(false), lease_, Call(), Then(&Impl::OnWritten));
    } else {
      Failed(answer.error());
    }
  }

  // Remembers since when the lease looks as it does.
  void Observe() {
    const std::string seen =
        SpecText(lease_, "holderIdentity") + " " + SpecText(lease_, "renewTime");
    if (seen != observed_) {
      observed_ = seen;
      observed_at_ = clock_.Now();
    }
  }

  bool MayTake() const {
    const std::string holder = SpecText(lease_, "holderIdentity");
    return holder.empty() || holder == options_.identity ||
           clock_.Now() - observed_at_ >= seconds(SpecNumber(lease_, "leaseDurationSeconds"));
  }

  void Fill(bool taken_over) {
    const std::string now = FormatRfc3339Micro(clock_.WallNow());
    Json& spec = lease_["spec"];
    if (taken_over) {
      spec["leaseTransitions"] = SpecNumber(lease_, "leaseTransitions") + 1;
      spec["acquireTime"] = now;
    }
    spec["holderIdentity"] = options_.identity;
    spec["leaseDurationSeconds"] = options_.duration.count();
    spec["renewTime"] = now;
    sent_at_ = clock_.Now();
  }

  void OnWritten(Result<Json> answer) {
    if (!answer) {
      Failed(answer.error());
      return;
    }
    lease_ = *std::move(answer);
    Observe();
    renewed_at_ = sent_at_;
    if (!leading_) {
      log::Info("leading", {{"lease", options_.name}, {"identity", options_.identity}});
      leading_ = true;
      listener_(true);
    }
    Wait();
  }

  void Failed(const Error& error) {
    log::Debug("cannot renew or take the lease", {{"lease", options_.name}, {"error", error}});
    if (clock_.Now() - renewed_at_ >= options_.renew_deadline) {
      NotLeading(error.message);
    }
    Wait();
  }

  void NotLeading(std::string_view why) {
    if (leading_.exchange(false)) {
      log::Warning("not leading any more", {{"lease", options_.name}, {"why", why}});
      listener_(false);
    }
  }

  void Wait() {
    const std::lock_guard lock(mutex_);
    timer_ = timers_.After(options_.retry, [weak = weak_from_this()] {
      EnterStep(weak, [](Impl& self) { self.Read(); });
    });
  }

  Client& client_;
  const Clock& clock_;
  TimerService& timers_;
  const LeaderOptions options_;
  const Listener listener_;
  Gate gate_;
  std::atomic<bool> leading_ = false;

  // Used by the one step that is running.
  bool started_ = false;
  Json lease_;  // as last seen
  std::string observed_;
  SteadyTime observed_at_;
  SteadyTime sent_at_;
  SteadyTime renewed_at_;

  std::mutex mutex_;  // guards timer_
  std::optional<TimerService::Id> timer_;
};

LeaderElector::LeaderElector(Client& client,
                             const Clock& clock,
                             TimerService& timers,
                             LeaderOptions options,
                             Listener listener)
    : impl_(
          std::make_shared<Impl>(client, clock, timers, std::move(options), std::move(listener))) {}

LeaderElector::~LeaderElector() {
  impl_->Stop();
}

void LeaderElector::Start() {
  impl_->Start();
}

void LeaderElector::Stop() {
  impl_->Stop();
}

bool LeaderElector::leading() const {
  return impl_->leading();
}

}  // namespace farlet::kube
