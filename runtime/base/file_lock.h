#pragma once

#include "runtime/base/fd.h"
#include "runtime/base/result.h"

#include <filesystem>
#include <optional>

namespace farlet::disk {

enum class LockKind { kShared, kExclusive };

// A flock on a file of its own, made when missing. It ends with the last descriptor of it, so also
// with a killed process. The file may be removed by who holds it exclusively: a lock is only ever
// given on the file that is at the path.
Result<UniqueFd> Lock(const std::filesystem::path& path, LockKind kind);

// Nothing when somebody else holds it.
Result<std::optional<UniqueFd>> TryLock(const std::filesystem::path& path, LockKind kind);

}  // namespace farlet::disk
