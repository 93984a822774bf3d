#pragma once

#include "provider/pod/status.h"

#include <nlohmann/json_fwd.hpp>

#include <string>

namespace farlet::pod {

struct ConditionsInput {
  const StatusInput& status;
  const nlohmann::json& init_statuses;
  const nlohmann::json& statuses;
  const std::string& phase;
};

// status.conditions (kubelet-contract B2.6): other owners' as they are, then ours, each with the
// time of its last change. Pure.
nlohmann::json MakeConditions(const ConditionsInput& input);

}  // namespace farlet::pod
