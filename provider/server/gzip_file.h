#pragma once

#include "runtime/base/result.h"

#include <functional>
#include <string>

namespace farlet::server {

// Replaces the file `path` by `path`.gz, with the same mode: written as `path`.tmp, then renamed,
// then the original is removed. `stop` is asked between blocks; true ends it with kCancelled and
// the original in place. Blocks for as long as it takes.
Status GzipFile(const std::string& path, const std::function<bool()>& stop);

}  // namespace farlet::server
