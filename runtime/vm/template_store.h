#pragma once

#include "runtime/base/fd.h"
#include "runtime/base/result.h"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

namespace farlet::vm {

// A saved machine, open for reading. It stays usable when the store drops it.
struct Template {
  UniqueFd memory;
  UniqueFd state;
  // The writable disk as the guest has it mounted; invalid: it has none.
  UniqueFd disk;
};

// A machine that is being saved: an empty state file, and a memory file of the right size that is
// all holes.
struct TemplateDraft {
  UniqueFd memory;
  UniqueFd state;
  std::filesystem::path disk;  // to be made by who builds, if the machine is to have one
};

// Saved machines in a folder (root's alone), shared by all shims of the host. It belongs on a disk:
// what clones touch of a memory file lands in the page cache, also where the file has holes; that
// of a disk can be dropped, that of a tmpfs cannot. After a reboot nothing of it is used again (see
// TemplateKey).
//
//   lock                 held (flock) by whoever changes anything
//   <key>/memory         the guest's memory, sparse
//   <key>/state          the devices' state
//   <key>/disk           what is on the writable disk, sparse, if the guest has one mounted
//   <key>/manifest.json  sizes, times and checksums of these; without it there is no template
//   <key>/used           its time is that of the last use
//   building-*           being made, or left by one that died
//
// A template appears by rename when it is complete. Readers take no lock: they open the files and
// then compare them with the manifest. Thread-safe; safe among processes.
class TemplateStore {
 public:
  struct Limits {
    std::chrono::seconds max_idle = std::chrono::hours(12);
    size_t max_templates = 8;
    // What must be free in the file system before a build begins.
    uint64_t min_free_bytes = 192ull << 20;
  };

  using Build = std::function<Status(TemplateDraft& draft)>;

  explicit TemplateStore(std::filesystem::path folder);
  TemplateStore(std::filesystem::path folder, Limits limits);

  // kNotFound if there is none, kDataLoss if it is not what its manifest says: the state's checksum
  // and all files' sizes and times (a change of the memory changes its times).
  Result<Template> Open(const std::string& key) const;

  // Open, or else wait until `deadline` for whoever builds, and build. Afterwards templates that
  // nobody used for long are removed.
  Result<Template> OpenOrBuild(const std::string& key,
                               uint64_t memory_bytes,
                               std::chrono::steady_clock::time_point deadline,
                               const Build& build);

  // As Open, and the memory's and the disk's checksum too; removes a template that does not pass.
  Status Verify(const std::string& key, std::chrono::steady_clock::time_point deadline);

 private:
  Result<UniqueFd> Lock(std::chrono::steady_clock::time_point deadline) const;

  Status BuildLocked(const std::string& key, uint64_t memory_bytes, const Build& build) const;
  Status CheckSpace() const;
  void CollectGarbageLocked(const std::string& keep) const;
  void RemoveLocked(const std::filesystem::path& path) const;

  const std::filesystem::path folder_;
  const Limits limits_;
};

}  // namespace farlet::vm
