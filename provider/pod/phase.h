#pragma once

#include "kube/api/pod.h"

#include <nlohmann/json_fwd.hpp>

#include <string>

namespace farlet::pod {

struct PhaseInput {
  const kube::PodSpec& spec;
  const nlohmann::json& init_statuses;
  const nlohmann::json& statuses;
  // Nothing runs any more and nothing is started again, whatever the restart policy.
  bool finished = false;
  // An app container was started in the current sandbox: restarting sidecars do not matter.
  bool initialized = false;
};

// status.phase from what the containers do (kubelet-contract B2.5). Pure.
std::string ComputePhase(const PhaseInput& input);

}  // namespace farlet::pod
