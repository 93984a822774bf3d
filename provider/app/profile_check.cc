#include "provider/app/profile_check.h"

#include "provider/fargate/admission.h"

namespace farlet::app {

Result<std::unique_ptr<ProfileCheck>> ProfileCheck::Open(const NodeConfig& config,
                                                         const Clock& clock) {
  std::unique_ptr<ProfileCheck> check(new ProfileCheck(config, clock));
  if (!config.profiles.empty()) {
    FARLET_ASSIGN(check->file_,
                  Annotate(fargate::FollowedProfiles::Open(config.profiles, clock), "profiles"));
  }
  return check;
}

void ProfileCheck::Start(kube::Client& client, TimerService& timers) {
  if (file_ != nullptr) {
    return;
  }
  cluster_ = std::make_unique<webhook::ProfileStore>(client, clock_, timers,
                                                     fargate::ProfileLimits(), nullptr);
  cluster_->Start();
}

void ProfileCheck::Stop() {
  cluster_.reset();
}

bool ProfileCheck::ready() const {
  return cluster_ == nullptr || cluster_->answered();
}

std::string ProfileCheck::Refusal(const kube::Pod& pod) const {
  if (file_ == nullptr && cluster_ == nullptr) {
    return {};
  }
  const auto profiles = file_ != nullptr ? file_->Current() : cluster_->Current();
  return fargate::RefusalOfBound(*pod.raw, pod.meta.object_namespace, *profiles,
                                 {.names = fargate::Names(config_.fargate_prefix),
                                  .runtime_class = pod.spec.runtime_class_name});
}

}  // namespace farlet::app
