#pragma once

#include "kube/client/client.h"
#include "provider/app/config.h"
#include "provider/app/kubelet_handlers.h"
#include "provider/node/serving_certificate.h"
#include "provider/server/log_rotation.h"
#include "provider/server/server.h"
#include "runtime/base/timer.h"

#include <memory>
#include <string>

namespace farlet::app {

// The kubelet API of this node: its certificate (configured, or asked of the cluster and rotated),
// its listeners, which are tried again while the port is taken, and the rotation of container logs.
class KubeletApi {
 public:
  // Everything outlives it. `ip` is the node's.
  KubeletApi(const NodeConfig& config,
             const std::string& ip,
             const HandlerDependencies& answers,
             TimerService& timers,
             kube::Client& client);
  ~KubeletApi();

  KubeletApi(const KubeletApi&) = delete;
  KubeletApi& operator=(const KubeletApi&) = delete;

  // Whether the files that the configuration names can be read. Before anything is started.
  static Status CheckConfig(const NodeConfig& config);

  Status Start();

 private:
  class Listener;

  Status LoadCertificate();

  const NodeConfig config_;
  server::Server server_;
  node::ServingCertificate certificate_;
  std::shared_ptr<Listener> listener_;
  std::unique_ptr<server::LogRotation> rotation_;
};

}  // namespace farlet::app
