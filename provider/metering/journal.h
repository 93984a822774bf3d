#pragma once

#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/base/result.h"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

namespace farlet::metering {

// The ledger's files below one folder:
//
//   ledger.json    a snapshot of everything; written anew as a whole, atomically. It names …
//   journal-N      … the journal that continues it: one JSON object a line, appended with one write
//
// A process that is killed loses nothing that Append() returned from; a machine that loses power
// may lose what was not Sync()ed. A last line that is not whole was never appended. Not thread
// safe.
class Journal {
 public:
  using Take = std::function<Status(const nlohmann::json&)>;

  explicit Journal(std::filesystem::path folder);

  // Gives the snapshot, if there is one, to `snapshot`, and then every line of the journal to
  // `entry`. What they refuse, or cannot be read at all, is logged with its file; the file stays
  // beside the others as NAME.corrupt-TIME. Without a snapshot that can be read all journals are
  // read, the oldest first. Nothing may be appended before the first Compact(). Errors: only those
  // of the folder itself.
  Status Load(const Take& snapshot, const Take& entry, WallTime now);

  // Makes `state` the snapshot and begins a journal. On an error everything is as it was.
  Status Compact(nlohmann::json state);

  // kFailedPrecondition before the first Compact(); any other error: nothing was appended.
  Status Append(const nlohmann::json& entry);

  // To the disk. Returns a descriptor of its own, so that the caller can fsync without holding
  // anything up; invalid: nothing is open.
  UniqueFd DuplicateForSync() const;

  size_t bytes() const { return bytes_; }  // of the journal

 private:
  std::filesystem::path PathOf(uint64_t number) const;
  Result<nlohmann::json> ReadSnapshot() const;
  bool ReadJournal(uint64_t number, const Take& entry) const;

  const std::filesystem::path folder_;
  uint64_t number_ = 0;
  UniqueFd fd_;
  size_t bytes_ = 0;
};

}  // namespace farlet::metering
