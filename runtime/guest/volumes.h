#pragma once

#include "runtime/base/fd.h"
#include "runtime/base/result.h"
#include "runtime/guest/layout.h"

#include <cstdint>
#include <map>
#include <string>

namespace farlet::guest {

namespace v1 {
class SyncVolumeRequest;
class VolumeFile;
}  // namespace v1

// Replicated volumes. Each is a tmpfs of its own with
//   ..N/ …           what one round brought, N its number here
//   ..data -> ..N    exchanged by rename when a round is complete
//   key -> ..data/key   for every first part of a path
// which is what readers of a kubelet's volumes know.
class Volumes {
 public:
  explicit Volumes(Layout layout) : layout_(std::move(layout)) {}

  // The request has been checked by CheckVolume.
  Status Sync(const v1::SyncVolumeRequest& request);

  // Whether a round has been completed.
  bool Committed(const std::string& name) const;

  // Removes them all; no container uses one.
  void Clear();

 private:
  struct Volume {
    // Numbers of folders.
    uint64_t current = 0;
    uint64_t staging = 0;
    // The caller's number of the round under way; nothing is under way when `staging` is 0.
    uint64_t generation = 0;
    uint64_t next = 1;
  };

  Status Begin(const std::string& path, Volume& volume, uint64_t generation) const;
  Status Write(const std::string& path, const Volume& volume, const v1::VolumeFile& file) const;
  Status Commit(const std::string& path, Volume& volume) const;

  const Layout layout_;
  std::map<std::string, Volume> volumes_;
};

}  // namespace farlet::guest
