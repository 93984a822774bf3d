#pragma once

#include "kube/api/pod.h"
#include "provider/pod/node_context.h"
#include "runtime/base/result.h"

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <optional>

namespace farlet::pod {

// What an empty folder of a volume is made with. Only when it is made: afterwards it is the
// containers' own.
struct FolderOptions {
  mode_t mode = 0777;
  std::optional<gid_t> group;
};

// Appears with all its attributes or not at all.
Status MakeVolumeFolder(const std::filesystem::path& path, const FolderOptions& options);

// A tmpfs of its own, of `size_bytes` (0: the kernel's default), not swapped out where the kernel
// can do that; what is mounted there already is left as it is.
Status MakeMemoryFolder(const std::filesystem::path& path,
                        const FolderOptions& options,
                        int64_t size_bytes);

// emptyDir, of either medium.
Status MakeEmptyDir(const std::filesystem::path& path,
                    const kube::EmptyDirVolume& volume,
                    const kube::Pod& pod,
                    const kube::ResourceList& allocatable);

// The smallest of the node's memory, the pod's limit (when all containers have one) and sizeLimit.
int64_t MemoryVolumeSize(const kube::EmptyDirVolume& volume,
                         const kube::PodSpec& spec,
                         const kube::ResourceList& allocatable);

}  // namespace farlet::pod
