#include "provider/webhook/profile_store.h"

#include <utility>

namespace farlet::webhook {
namespace {

kube::ListWatchOptions MakeOptions(std::function<void()> refused) {
  kube::ListWatchOptions options{.path = std::string(fargate::kProfilePath)};
  options.may_be_missing = true;
  options.on_error = [refused = std::move(refused)](const Error& error) {
    if (error.http_status != 0) {
      refused();
    }
  };
  return options;
}

}  // namespace

ProfileStore::ProfileStore(kube::Client& client,
                           const Clock& clock,
                           TimerService& timers,
                           fargate::ProfileLimits limits,
                           std::function<void()> changed)
    : limits_(limits),
      changed_(std::move(changed)),
      informer_(client,
                clock,
                timers,
                MakeOptions([this] { refused_ = true; }),
                [this](const auto& /*before*/, const auto& /*after*/) { Rebuild(); }) {}

void ProfileStore::Start() {
  informer_.Start();
}

void ProfileStore::Stop() {
  informer_.Stop();
}

bool ProfileStore::synced() const {
  return informer_.synced();
}

bool ProfileStore::answered() const {
  return refused_ || synced();
}

ProfileStore::Snapshot ProfileStore::Current() const {
  const std::lock_guard lock(mutex_);
  return current_;
}

std::vector<fargate::ProfilePtr> ProfileStore::All() const {
  return informer_.All();
}

std::string ProfileStore::Problem(const fargate::Profile& profile) const {
  const Status checked = fargate::CheckProfile(profile, limits_);
  return checked ? std::string() : checked.error().message;
}

void ProfileStore::Rebuild() {
  std::vector<fargate::ProfilePtr> good;
  for (fargate::ProfilePtr& profile : informer_.All()) {
    if (Problem(*profile).empty()) {
      good.push_back(std::move(profile));
    }
  }
  auto next = std::make_shared<const fargate::ProfileSet>(std::move(good));
  {
    const std::lock_guard lock(mutex_);
    current_ = std::move(next);
  }
  if (changed_) {
    changed_();
  }
}

}  // namespace farlet::webhook
