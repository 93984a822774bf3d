#pragma once

#include "runtime/base/fd.h"
#include "runtime/base/result.h"

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

// System calls with errors that name what was attempted.
namespace farlet::guest {

// mkdir -p; folders that are there stay as they are.
Status MakePath(const std::string& path, mode_t mode = 0755);

Status Mount(const std::string& source,
             const std::string& target,
             const std::string& type,
             unsigned long flags,
             const std::string& data = "");

// Makes `target` a mount of `type` unless it is one of that file system already.
Status MountOnce(const std::string& source,
                 const std::string& target,
                 const std::string& type,
                 unsigned long flags,
                 const std::string& data = "");

Result<UniqueFd> Open(const std::string& path, int flags, mode_t mode = 0);

// Opens `path` below the folder `root`; symlinks are followed as long as they stay inside.
Result<UniqueFd> OpenBeneath(int root, const std::string& path, int flags, mode_t mode = 0);

Status SetNonBlocking(int fd);

// Has the kernel forget what it cached of a block device whose content was exchanged by the host.
void ForgetCached(const std::string& block_device);

// Nanoseconds since 1970.
int64_t WallTimeNs();

}  // namespace farlet::guest
