#pragma once

#include "kube/api/pod.h"
#include "kube/client/client.h"
#include "provider/app/config.h"
#include "provider/fargate/profile_file.h"
#include "provider/webhook/profile_store.h"
#include "runtime/base/clock.h"
#include "runtime/base/timer.h"

#include <memory>
#include <string>

namespace farlet::app {

// The node's own check of pods that a Fargate profile takes: by the profiles of the configured
// file, or else by the cluster's, where there are any and the node may read them. Thread safe.
class ProfileCheck {
 public:
  // Errors: the configured file cannot be read. `config` and `clock` outlive it.
  static Result<std::unique_ptr<ProfileCheck>> Open(const NodeConfig& config, const Clock& clock);

  // Follows the cluster's profiles, unless there is a file. `client` and `timers` are needed until
  // Stop().
  void Start(kube::Client& client, TimerService& timers);
  void Stop();

  // False while the API server has not said which profiles there are, or that it cannot show any:
  // until then no pod is to be admitted.
  bool ready() const;

  // Why the pod may not run here, as the webhook would have said it; empty: it may.
  std::string Refusal(const kube::Pod& pod) const;

 private:
  ProfileCheck(const NodeConfig& config, const Clock& clock) : config_(config), clock_(clock) {}

  const NodeConfig& config_;
  const Clock& clock_;
  std::unique_ptr<fargate::FollowedProfiles> file_;  // null: the cluster's count
  std::unique_ptr<webhook::ProfileStore> cluster_;
};

}  // namespace farlet::app
