#pragma once

#include "runtime/base/result.h"

#include <cstdint>
#include <filesystem>

namespace farlet::disk {

// What is known of a finished file, in a file beside it.
//
// The stamp (inode, change time, boot) is the quick way: while it is the same nobody can have
// written to the file. After a boot, when a write may have been lost, or after any change of the
// file the checksum decides.
struct Manifest {
  uint64_t bytes = 0;  // what the checksum covers; the file may be longer, with nothing but a hole
  uint32_t checksum = 0;
};

// Of `file` as it is now.
Result<Manifest> WriteManifest(const std::filesystem::path& file,
                               const std::filesystem::path& manifest,
                               uint64_t bytes);

// kNotFound: there is no such file or manifest; kDataLoss: the file is not what was finished.
Result<Manifest> CheckAgainstManifest(const std::filesystem::path& file,
                                      const std::filesystem::path& manifest);

}  // namespace farlet::disk
