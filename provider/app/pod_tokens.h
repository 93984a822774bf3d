#pragma once

#include "kube/client/client.h"
#include "provider/pod/controller.h"
#include "provider/pod/service_account_token.h"

#include <functional>
#include <memory>
#include <string>
#include <utility>

namespace farlet::app {

// The controller's token source by the TokenRequest API.
class PodTokenSource final : public pod::PodTokens {
 public:
  PodTokenSource(kube::Client& client,
                 const Clock& clock,
                 TimerService& timers,
                 std::function<void(const std::string& uid)> changed)
      : tokens_(client, clock, timers, std::move(changed)) {}

  pod::TokenLookup For(std::shared_ptr<const kube::Pod> pod) override {
    return tokens_.For(std::move(pod));
  }

  void Forget(const std::string& pod_uid) override { tokens_.Forget(pod_uid); }

 private:
  pod::ServiceAccountTokens tokens_;
};

}  // namespace farlet::app
