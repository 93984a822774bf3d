#pragma once

#include "provider/app/config.h"
#include "provider/metering/ledger.h"
#include "provider/pod/controller.h"
#include "provider/server/handlers.h"
#include "runtime/base/clock.h"
#include "runtime/cri/client.h"
#include "runtime/cri/runtime_cache.h"

namespace farlet::app {

struct HandlerDependencies {
  pod::PodController& pods;
  cri::Client& runtime;
  cri::RuntimeCache& cache;
  const Clock& clock;
  const metering::Ledger& ledger;
};

// Answers the kubelet API from the pod controller and the runtime. The dependencies outlive the
// handlers.
server::Handlers MakeKubeletHandlers(const HandlerDependencies& dependencies,
                                     const NodeConfig& config);

}  // namespace farlet::app
