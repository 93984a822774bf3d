#pragma once

#include "provider/pod/env.h"
#include "provider/pod/hostname.h"
#include "provider/pod/node_context.h"

#include <filesystem>
#include <string>
#include <vector>

namespace farlet::pod {

// What is in /etc/hosts of a pod with a network of its own (kubelet-contract B5).
std::string HostsFile(const std::vector<std::string>& pod_ips,
                      const PodHostname& host,
                      const std::vector<kube::HostAlias>& aliases);

// The same for a pod in the host's network: the host's own file and the aliases.
std::string HostNetworkHostsFile(std::string_view host_file,
                                 const std::vector<kube::HostAlias>& aliases);

// Writes it below the pod's folder, in place since running containers have it mounted; its path.
Result<std::filesystem::path> WriteHostsFile(const NodeContext& node, const EnvContext& context);

}  // namespace farlet::pod
