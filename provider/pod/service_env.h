#pragma once

#include "kube/api/service.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace farlet::pod {

// The docker-links variables of services (kubelet-contract B4.1): all services of the pod's
// namespace when `enable_service_links`, and always "kubernetes" of namespace default. Services
// without a cluster IP have none. Pure.
std::map<std::string, std::string> ServiceEnv(
    const std::vector<std::shared_ptr<const kube::Service>>& services,
    const std::string& pod_namespace,
    bool enable_service_links);

}  // namespace farlet::pod
