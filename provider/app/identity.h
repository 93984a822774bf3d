#pragma once

#include "kube/client/make_client.h"
#include "provider/app/config.h"
#include "provider/app/stop_signal.h"
#include "provider/node/client_certificate.h"
#include "runtime/base/timer.h"

#include <memory>
#include <optional>

namespace farlet::app {

// Who the node is to the API server: the identity of a kubeconfig, of a certificate got by TLS
// bootstrap (and rotated from then on), or of the pod's service account.
class Identity {
 public:
  // Checks what the configuration names; does nothing over the network. kInvalidArgument or
  // kNotFound, one line. `clock` and `timers` outlive it.
  static Result<std::unique_ptr<Identity>> Make(const NodeConfig& config,
                                                const Clock& clock,
                                                TimerService& timers);
  ~Identity();

  // Waits until there is a client, for as long as it takes (a bootstrap that has to be approved);
  // kCancelled when `stop` comes first, kInvalidArgument when what bootstrap wrote cannot be used.
  Status Establish(StopSignal& stop);

  // After Establish().
  kube::Client& client() { return *client_; }

 private:
  Identity(const NodeConfig& config, const Clock& clock, TimerService& timers)
      : config_(config), clock_(clock), timers_(timers) {}

  Status Prepare();
  Status PrepareBootstrap();
  Result<std::unique_ptr<kube::Client>> Connect(const kube::ClusterAccess& access);

  const NodeConfig config_;
  const Clock& clock_;
  TimerService& timers_;
  std::filesystem::path own_kubeconfig_;       // written by bootstrap
  std::optional<kube::ClusterAccess> access_;  // known from the start, without bootstrap
  std::unique_ptr<kube::Client> bootstrap_;
  std::unique_ptr<kube::Client> client_;
  std::unique_ptr<node::ClientCertificate> certificate_;
};

}  // namespace farlet::app
