#pragma once

#include "runtime/base/result.h"

#include <filesystem>
#include <string>
#include <vector>

namespace farlet::node {

struct CniConfig {
  std::filesystem::path folder;    // where the runtime looks
  std::filesystem::path data_dir;  // where host-local notes the addresses that are taken
  std::string node_name;
  std::vector<std::string> pod_cidrs;
};

// The CNI network list for a node's pods: a bridge with the pod CIDRs' addresses (IPv4, IPv6 or
// both) and host ports; masquerade.h does the way out. Bridge, network and data folder are the
// node's own, so that several nodes can share a host.
std::string FormatCniConfig(const CniConfig& config);

// A bridge name of at most 15 characters that no other node on the same host has.
std::string BridgeName(const std::string& node_name);

// kInvalidArgument for what is no CIDR, and when there is none.
Status CheckPodCidrs(const std::vector<std::string>& pod_cidrs);

// Writes `folder`/10-farlet.conflist atomically, unless it says the same already. True when it was
// written. Errors also as CheckPodCidrs().
Result<bool> WriteCniConfig(const CniConfig& config);

}  // namespace farlet::node
