#pragma once

#include "runtime/base/result.h"
#include "runtime/shim/cli.h"

#include <string>

namespace farlet::shim {

// `start`, with the bundle as working directory: what to print. For a sandbox (and a single
// container) a new shim is started, whose VM begins to start at once; a container joins its
// sandbox's. `address` is written into the bundle. Nothing is printed here but what is returned,
// for containerd takes all output for the answer.
Result<std::string> RunStart(const CommandLine& line);

}  // namespace farlet::shim
