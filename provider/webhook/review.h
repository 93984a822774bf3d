#pragma once

#include "provider/fargate/admission.h"

#include <set>
#include <string>
#include <string_view>

namespace farlet::webhook {

struct ReviewOptions {
  fargate::AdmissionOptions admission;
  // Pods in these are never refused: what cannot run there is left alone, with a warning.
  std::set<std::string> never_refused{"kube-system"};
};

enum class Verdict {
  kUntouched,
  kAdmitted,
  kRefused,
  kMalformed,  // of the request itself
};

struct ReviewAnswer {
  int status = 200;  // of HTTP
  std::string body;  // an AdmissionReview; of a malformed request: one line of text
  Verdict verdict = Verdict::kUntouched;
  // For the log: which pod, whose profile and why it was refused.
  std::string pod;  // "namespace/name"
  std::string profile;
  std::string message;
};

// The largest request that is looked at. The API server takes objects of up to 3 MiB.
inline constexpr size_t kMaxReview = size_t{6} << 20;

// Answers one AdmissionReview (admission.k8s.io/v1) about the creation of a pod; whatever else it
// is about is allowed as it is. Pure.
ReviewAnswer Review(std::string_view body,
                    const fargate::ProfileSet& profiles,
                    const ReviewOptions& options);

}  // namespace farlet::webhook
