#pragma once

#include "kube/client/make_client.h"
#include "runtime/base/timer.h"

#include <filesystem>
#include <memory>

namespace farlet::app {

// A client for the webhook and the operator's tools: by `kubeconfig`, else $KUBECONFIG, else the
// pod's service account, else ~/.kube/config. kInvalidArgument or kNotFound, naming the file.
// `clock` and `timers` outlive it. Nothing is sent.
Result<std::unique_ptr<kube::Client>> ConnectApi(const std::filesystem::path& kubeconfig,
                                                 const Clock& clock,
                                                 TimerService& timers);

}  // namespace farlet::app
