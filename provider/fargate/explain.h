#pragma once

#include "provider/fargate/admission.h"

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <string_view>

namespace farlet::fargate {

struct Explanation {
  Decision::Kind outcome = Decision::Kind::kUntouched;
  std::string text;  // some lines for a person, each with its end
};

// What admission would make of the pods of a manifest (a Pod, or a workload with a template of
// one), and why: profile by profile which selector matches or what it lacks, then size or refusal.
// `object_namespace` stands where the manifest has none. kInvalidArgument for other objects.
Result<Explanation> Explain(const nlohmann::json& manifest,
                            std::string_view object_namespace,
                            const ProfileSet& profiles,
                            const AdmissionOptions& options);

}  // namespace farlet::fargate
