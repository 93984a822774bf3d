#pragma once

#include "kube/api/pod.h"
#include "provider/pod/cri_config.h"
#include "provider/pod/node_context.h"
#include "runtime/cri/types.h"

#include <string_view>
#include <vector>

namespace farlet::pod {

// The pod's resolv.conf (kubelet-contract B5, "DNS"). Reads node.resolv_conf unless dnsPolicy is
// None; a file that cannot be read is an error that names it.
Result<cri::DnsConfig> MakeDnsConfig(const kube::Pod& pod,
                                     const NodeContext& node,
                                     std::vector<PodWarning>& warnings);

// resolv.conf(5): name servers add up, the last search line and the last of each option win.
cri::DnsConfig ParseResolvConf(std::string_view text);

}  // namespace farlet::pod
