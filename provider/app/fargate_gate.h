#pragma once

#include "kube/api/pod.h"
#include "provider/fargate/admission.h"
#include "provider/pod/status.h"

#include <optional>

namespace farlet::app {

// The webhook's check once more, for a pod that came to this node past it: it matches a profile and
// has what Fargate cannot run. Pods that match no profile are none of its business. Pure.
std::optional<pod::PodFailure> CheckFargate(const kube::Pod& pod,
                                            const fargate::ProfileSet& profiles,
                                            const fargate::AdmissionOptions& options);

}  // namespace farlet::app
