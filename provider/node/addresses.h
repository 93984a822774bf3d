#pragma once

#include "runtime/base/result.h"

#include <filesystem>
#include <string>

namespace farlet::node {

// kInvalidArgument unless `text` is an IPv4 or IPv6 address that a node can have: not loopback,
// multicast, link-local or unspecified.
Status CheckNodeIp(const std::string& text);

// Whether an interface of this host (and network namespace) has the address.
bool IsLocalIp(const std::string& text);

// The address of the interface with the default route, else of the first interface that has one.
// kNotFound when there is none.
Result<std::string> FindNodeIp(const std::filesystem::path& proc = "/proc");

// The host's name in lower case, which is the default name of its node.
Result<std::string> HostName();

}  // namespace farlet::node
