#pragma once

#include "runtime/base/result.h"

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <string_view>

namespace farlet {

// Whole files with a bound on their size, and atomic writes. Errors name the path.

// kNotFound when missing, kResourceExhausted when larger than `max_bytes`.
Result<std::string> ReadFile(const std::filesystem::path& path, size_t max_bytes = 16u << 20);

// Writes `path`.tmp-<random>, fsyncs and renames it: a reader sees the old or the new content.
Status WriteFileAtomic(const std::filesystem::path& path, std::string_view content, mode_t mode);

// One write() into a file that is there, as those of proc, sysfs and cgroups want it.
Status WriteKernelFile(const std::filesystem::path& path, std::string_view text);

// mkdir -p; the last folder gets exactly `mode` whatever the umask.
Status MakeDirectories(const std::filesystem::path& path, mode_t mode);

}  // namespace farlet
