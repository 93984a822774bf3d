#pragma once

#include "runtime/base/fd.h"
#include "runtime/base/result.h"

#include <filesystem>
#include <functional>

namespace farlet::net {

// kNotFound: nothing there; kInvalidArgument: not a namespace file (a path whose namespace was
// unmounted is an ordinary empty file).
Result<UniqueFd> OpenNetns(const std::filesystem::path& path);

// Runs `step` on a new thread inside the network namespace and waits for it. Sockets that it opens
// stay in the namespace.
Status RunInNetns(int netns, const std::function<Status()>& step);

}  // namespace farlet::net
