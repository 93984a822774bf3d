#pragma once

#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/base/result.h"

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

namespace farlet::server {

// An open log file, known by its inode whatever it is called by now.
struct LogFile {
  UniqueFd fd;
  uint64_t device = 0;
  uint64_t inode = 0;
  int64_t size = 0;  // when it was opened

  bool Same(const LogFile& other) const { return device == other.device && inode == other.inode; }
};

// Error: kNotFound when there is none, kInvalidArgument when it is not a regular file. Symbolic
// links are not followed in the last component.
Result<LogFile> OpenLogFile(const std::string& path);

// When another file stands at `path` than `current`: the files that follow `current`, oldest first,
// the one at `path` last. Those between them were rotated while nobody looked (`path`.TIMESTAMP,
// not yet compressed) and begin at `last_time`, the time of the last line known, or later.
std::deque<LogFile> FindSuccessors(const std::string& path,
                                   const LogFile& current,
                                   WallTime last_time);

// What log rotation appends to a name, "20060102-150405" in UTC, after a dot.
inline constexpr std::string_view kRotatedPattern = "dddddddd-dddddd";

// Whether `name` is `base`.TIMESTAMP, not compressed.
bool IsRotatedName(std::string_view name, std::string_view base);

}  // namespace farlet::server
