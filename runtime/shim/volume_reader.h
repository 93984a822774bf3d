#pragma once

#include "proto/guest/v1/guest.pb.h"
#include "runtime/base/result.h"

#include <filesystem>
#include <vector>

namespace farlet::shim {

// The content of a volume that the kubelet's atomic writer keeps: what "..data" leads to now, or
// the folder itself where there is none. Parents come before what is in them; the first entry is
// the volume's own folder. No link is followed but "..data". kResourceExhausted for a volume of
// more than 32 MiB or 8192 files; kNotFound when it was exchanged while it was read: read it again.
Result<std::vector<guest::v1::VolumeFile>> ReadVolume(const std::filesystem::path& folder);

// Cuts files into requests of at most about `max_bytes` each; a larger file goes on in the next
// one. first, last, name and generation are set. There is always one request at least.
std::vector<guest::v1::SyncVolumeRequest> CutIntoRequests(const std::string& name,
                                                          uint64_t generation,
                                                          std::vector<guest::v1::VolumeFile> files,
                                                          size_t max_bytes);

}  // namespace farlet::shim
