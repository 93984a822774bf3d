#pragma once

#include "provider/fargate/admission.h"

#include <nlohmann/json_fwd.hpp>

#include <string>

namespace farlet::fargate {

// Internal: the JSON patch that makes a Fargate pod of `pod`, empty when it is one already.
std::string MakePodPatch(const nlohmann::json& pod,
                         const std::string& profile,
                         const Configuration& provisioned,
                         const AdmissionOptions& options);

}  // namespace farlet::fargate
