#pragma once

#include "runtime/base/result.h"

#include <string>
#include <vector>

namespace farlet::node {

// What leaves the node from a pod's address gets the node's: one nftables table of the node's own
// with a rule for each pod CIDR. The CNI plugins could do it too (ipMasq), but with chains for each
// pod, whose making is a third of what a pod's network costs.

// The table as a script for nft: replaces what an earlier one has made. Traffic within a CIDR and
// multicast keep their source. `table` is [a-z0-9-]+, `pod_cidrs` were checked.
std::string FormatMasquerade(const std::string& table, const std::vector<std::string>& pod_cidrs);

// Makes it so in the network namespace of the calling thread, all or nothing. May be repeated.
// Errors: kInternal with nftables' own words.
Status ApplyMasquerade(const std::string& table, const std::vector<std::string>& pod_cidrs);

}  // namespace farlet::node
