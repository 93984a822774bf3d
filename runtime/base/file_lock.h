#pragma once

#include "runtime/base/fd.h"
#include "runtime/base/result.h"

#include <chrono>
#include <filesystem>
#include <optional>

namespace farlet {

enum class LockKind { kShared, kExclusive };

// A flock on a file of its own, made when missing. It ends with the last descriptor of it, so also
// with a killed process. The file may be removed by who holds it exclusively: a lock is only ever
// given on the file that is at the path.
Result<UniqueFd> LockFile(const std::filesystem::path& path, LockKind kind);

// Nothing when somebody else holds it.
Result<std::optional<UniqueFd>> TryLockFile(const std::filesystem::path& path, LockKind kind);

// Waits no longer than that: kDeadlineExceeded.
Result<UniqueFd> LockFileUntil(const std::filesystem::path& path,
                               LockKind kind,
                               std::chrono::steady_clock::time_point deadline);

}  // namespace farlet
