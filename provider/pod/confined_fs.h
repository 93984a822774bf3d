#pragma once

#include "runtime/base/fd.h"
#include "runtime/base/result.h"

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

// File operations on trees that containers can write to: no path is followed out of them.
namespace farlet::pod {

// Opens `path` relative to `dir`; symbolic links are followed as long as they stay beneath it.
Result<UniqueFd> OpenBeneath(int dir, const std::string& path, int flags);

// Opens a folder whose last component is not a symbolic link.
Result<UniqueFd> OpenFolder(const std::filesystem::path& path);

// mkdir of one folder with exactly `mode` whatever the umask; one that exists is left as it is.
Status MakeFolder(const std::filesystem::path& path, mode_t mode);

// Whether something is mounted on `path` itself (a symbolic link is not followed).
Result<bool> IsMountPoint(const std::filesystem::path& path);

// Deletes the folder `path` and all below it without following links and without leaving its
// filesystem: what is still mounted in there is an error. Success when it is gone already.
Status RemoveTree(const std::filesystem::path& path);

// Reads a regular file that a container may have written: no link, no device, and the last
// `max_bytes` of it at most.
Result<std::string> ReadTail(const std::filesystem::path& path, size_t max_bytes);

}  // namespace farlet::pod
