#include "provider/webhook/profile_status.h"

#include "kube/api/field_reader.h"
#include "kube/api/meta.h"
#include "kube/watch/informer.h"
#include "runtime/base/gate.h"
#include "runtime/base/log.h"

#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <utility>

namespace farlet::webhook {
namespace {

using kube::Json;

// Of a Fargate pod only what is counted.
struct FargatePod {
  kube::ObjectMeta meta;
  std::string phase;

  static Result<FargatePod> FromJson(const Json& object) {
    FargatePod pod;
    FARLET_ASSIGN(pod.meta, kube::ParseObjectMeta(object));
    pod.meta.annotations.clear();
    kube::FieldErrors errors;
    kube::FieldReader(object, "", errors).Object("status").Read("phase", pod.phase);
    return pod;
  }
};

struct Counts {
  int64_t matched = 0;
  int64_t running = 0;
  int64_t pending = 0;
};

std::string NamespacesOf(const fargate::Profile& profile) {
  std::string text;
  for (const fargate::Selector& selector : profile.selectors) {
    text += (text.empty() ? "" : ",") + selector.object_namespace;
  }
  return text;
}

Json StatusOf(const fargate::Profile& profile, const std::string& problem, const Counts& counts) {
  return {{"status", problem.empty() ? "ACTIVE" : "CREATE_FAILED"},
          {"message", problem},
          {"observedGeneration", profile.meta.generation},
          {"namespaces", NamespacesOf(profile)},
          {"pods",
           {{"matched", counts.matched}, {"running", counts.running}, {"pending", counts.pending}}},
          {"withoutEffect", profile.WithoutEffect()}};
}

}  // namespace

class ProfileStatus::Impl : public std::enable_shared_from_this<ProfileStatus::Impl> {
 public:
  Impl(kube::Client& client, const Clock& clock, TimerService& timers, ProfileStatusOptions options)
      : client_(client),
        options_(std::move(options)),
        looker_(timers, options_.looks, [this] { Look(); }),
        pods_(client,
              clock,
              timers,
              {.path = "/api/v1/pods", .query = {{"labelSelector", options_.names.profile_label}}},
              [this](const auto& before, const auto& after) {
                // Most changes of a pod change no count.
                if (before == nullptr || after == nullptr || before->phase != after->phase) {
                  looker_.LookSoon();
                }
              }) {}

  Gate& gate() { return gate_; }

  void Start() { pods_.Start(); }

  void Stop() {
    gate_.Close();
    pods_.Stop();
    looker_.Stop();
  }

  void SetLeading(bool leading) {
    leading_ = leading;
    if (leading) {
      const std::lock_guard lock(mutex_);
      written_.clear();  // another one may have written in the meantime
    }
    looker_.LookSoon();
  }

  void LookSoon() { looker_.LookSoon(); }

 private:
  void Look() {
    if (!leading_) {
      return;
    }
    if (!pods_.synced()) {
      looker_.LookSoon();
      return;
    }
    std::map<std::string, Counts> counts = Count();
    for (const fargate::ProfilePtr& profile : options_.profiles()) {
      Write(profile->meta,
            StatusOf(*profile, options_.problem(*profile), counts[profile->meta.name]));
    }
  }

  std::map<std::string, Counts> Count() const {
    std::map<std::string, Counts> counts;
    for (const auto& pod : pods_.All()) {
      const auto label = pod->meta.labels.find(options_.names.profile_label);
      if (label == pod->meta.labels.end()) {
        continue;
      }
      Counts& one = counts[label->second];
      ++one.matched;
      one.running += pod->phase == "Running" ? 1 : 0;
      one.pending += pod->phase == "Pending" ? 1 : 0;
    }
    return counts;
  }

  void Write(const kube::ObjectMeta& profile, const Json& status) {
    {
      const std::lock_guard lock(mutex_);
      if (written_[profile.uid] == status) {
        return;
      }
      written_[profile.uid] = status;
    }
    const std::string path = std::string(fargate::kProfilePath) + "/" + profile.name + "/status";
    client_.Patch(path, kube::PatchType::kMerge, {{"status", status}}, {},
                  [weak = weak_from_this(), uid = profile.uid](const Result<Json>& answer) {
                    if (!answer && answer.error().code != Code::kNotFound) {
                      log::Warning("cannot write a profile's status", {{"error", answer.error()}});
                      EnterStep(weak, [&](Impl& self) { self.Again(uid); });
                    }
                  });
  }

  void Again(const std::string& uid) {
    {
      const std::lock_guard lock(mutex_);
      written_.erase(uid);
    }
    looker_.LookSoon();
  }

  kube::Client& client_;
  const ProfileStatusOptions options_;
  Gate gate_;
  std::atomic<bool> leading_ = false;

  std::mutex mutex_;                     // guards what follows
  std::map<std::string, Json> written_;  // by uid of the profile

  Looker looker_;
  kube::Informer<FargatePod> pods_;
};

ProfileStatus::ProfileStatus(kube::Client& client,
                             const Clock& clock,
                             TimerService& timers,
                             ProfileStatusOptions options)
    : impl_(std::make_shared<Impl>(client, clock, timers, std::move(options))) {}

ProfileStatus::~ProfileStatus() {
  impl_->Stop();
}

void ProfileStatus::Start() {
  impl_->Start();
}

void ProfileStatus::Stop() {
  impl_->Stop();
}

void ProfileStatus::SetLeading(bool leading) {
  impl_->SetLeading(leading);
}

void ProfileStatus::LookAgain() {
  impl_->LookSoon();
}

}  // namespace farlet::webhook
