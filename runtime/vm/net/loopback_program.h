#pragma once

#include "runtime/base/fd.h"
#include "runtime/base/result.h"

namespace farlet::net {

// Loads the program that sends TCP connections to 127.0.0.0/8 to `ipv4` and those to ::1 to `ipv6`
// (listening sockets; -1: none) and attaches it to the network namespace `netns`. It stays attached
// while the returned descriptor is open.
Result<UniqueFd> AttachLoopbackProgram(int netns, int ipv4, int ipv6);

}  // namespace farlet::net
