#pragma once

#include "kube/client/client.h"
#include "provider/fargate/names.h"
#include "provider/fargate/profile.h"
#include "provider/webhook/looker.h"
#include "runtime/base/timer.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace farlet::webhook {

struct ProfileStatusOptions {
  fargate::Names names;
  // All profiles, and what is wrong with one ("": nothing).
  std::function<std::vector<fargate::ProfilePtr>()> profiles;
  std::function<std::string(const fargate::Profile&)> problem;
  LookerOptions looks{.settle = seconds(1)};
};

// Keeps the status of every FargateProfile: whether it takes part (ACTIVE, or CREATE_FAILED as the
// AWS API has it, with the reason), how many pods run under it, and which of its fields have no
// effect. Acts only while it leads. Thread safe. Everything outlives it.
class ProfileStatus {
 public:
  ProfileStatus(kube::Client& client,
                const Clock& clock,
                TimerService& timers,
                ProfileStatusOptions options);
  ~ProfileStatus();  // Stop()

  ProfileStatus(const ProfileStatus&) = delete;
  ProfileStatus& operator=(const ProfileStatus&) = delete;

  void Start();
  // Nothing runs afterwards. Idempotent.
  void Stop();
  void SetLeading(bool leading);
  // The profiles have changed.
  void LookAgain();

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace farlet::webhook
