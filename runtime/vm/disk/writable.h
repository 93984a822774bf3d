#pragma once

#include "runtime/base/result.h"
#include "runtime/vm/disk/image_cache.h"

#include <cstdint>
#include <filesystem>

namespace farlet::disk {

struct WritableOptions {
  std::filesystem::path template_folder;          // made when missing; may be the image cache's
  std::filesystem::path mkfs_ext4 = "mkfs.ext4";  // looked up in $PATH and the sbin folders
  uint64_t slot_bytes = kSlotBytes;               // the file's length, 0: `bytes`
};

// Creates `path` (mode 0600, must not exist): a sparse, empty ext4 file system of `bytes` (16 MiB
// at least, rounded down to 4 KiB), without journal and reserved blocks, since it lives and dies
// with one VM. Nothing is left to be initialised by the guest's kernel. Each has a UUID of its own.
//
// mkfs.ext4 runs once per size; afterwards the template is cloned (reflink) or copied hole by hole:
// a few milliseconds and a few hundred kB. A template that was damaged is made anew. Safe between
// threads and processes. kAlreadyExists, kInvalidArgument, kResourceExhausted (disk full); nothing
// is left on an error.
Status CreateWritable(const std::filesystem::path& path,
                      uint64_t bytes,
                      const WritableOptions& options);

}  // namespace farlet::disk
