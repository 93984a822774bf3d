#pragma once

#include "runtime/base/fd.h"
#include "runtime/base/result.h"

#include <filesystem>
#include <mutex>
#include <string>
#include <string_view>

namespace farlet::vm {

// A log that a hostile writer cannot make large: the newest bytes in a file and its predecessor
// (FILE.1), and the last of them in memory. Anything but printable ASCII and newlines becomes '?'.
// Thread-safe.
class BoundedLog {
 public:
  // A log that cannot be written to disk still keeps its tail.
  BoundedLog(std::filesystem::path file, size_t max_file_bytes, size_t max_tail_bytes);

  void Append(std::string_view text);
  std::string Tail() const;

 private:
  void WriteFile(std::string_view text);

  const std::filesystem::path path_;
  const size_t max_file_bytes_;
  const size_t max_tail_bytes_;
  mutable std::mutex mutex_;  // guards what follows
  UniqueFd file_;
  size_t file_bytes_ = 0;
  std::string tail_;
};

// The line that tells why a guest's kernel died ("Kernel panic - not syncing: …"), or the last line
// that says anything; at most 200 bytes.
std::string LastWords(std::string_view tail);

}  // namespace farlet::vm
