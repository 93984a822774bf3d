#pragma once

#include "kube/client/client.h"
#include "kube/watch/informer.h"
#include "provider/fargate/match.h"
#include "provider/fargate/profile.h"
#include "runtime/base/timer.h"

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace farlet::webhook {

// The cluster's FargateProfiles, kept current. One that breaks the rules (CheckProfile) takes part
// in nothing. Thread safe.
class ProfileStore {
 public:
  using Snapshot = std::shared_ptr<const fargate::ProfileSet>;

  // `changed` is called on a thread of the client after the set has changed; must not block; may be
  // null. `client` and `timers` outlive it.
  ProfileStore(kube::Client& client,
               const Clock& clock,
               TimerService& timers,
               fargate::ProfileLimits limits,
               std::function<void()> changed);

  void Start();
  void Stop();

  // False until all profiles have been read once; Current() says nothing before.
  bool synced() const;
  // Whether the API server has said anything: all profiles, or why it does not show them (no such
  // resource, not allowed, whatever error it answers with).
  bool answered() const;
  Snapshot Current() const;

  // Every profile, also those that break the rules; and what is wrong with one ("": nothing).
  std::vector<fargate::ProfilePtr> All() const;
  std::string Problem(const fargate::Profile& profile) const;

 private:
  void Rebuild();

  const fargate::ProfileLimits limits_;
  const std::function<void()> changed_;
  std::atomic<bool> refused_{false};
  mutable std::mutex mutex_;  // guards current_
  Snapshot current_ = std::make_shared<const fargate::ProfileSet>();
  kube::Informer<fargate::Profile> informer_;  // last: stops before the rest goes
};

}  // namespace farlet::webhook
