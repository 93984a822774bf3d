#pragma once

#include "provider/app/config.h"

namespace farlet::app {

// `farlet node`: runs the agent until SIGTERM or SIGINT and returns the exit code of the process:
// 0 after a signal, 2 when a file that the configuration names is missing or malformed (one line on
// standard error, nothing started).
//
// Start order: API client (TLS bootstrap first, if asked for) → runtime client and its cache →
// node registration → pod controller → kubelet API. Stop order is the reverse; pods go on running.
int RunNode(const NodeConfig& config);

}  // namespace farlet::app
