#pragma once

#include "runtime/base/result.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace farlet::server {

// Finds where the last `lines` lines of a CRI log file begin, reading it from `end` backwards in
// blocks. A line is what is printed as one: the pieces of a long line count once. An unfinished raw
// line at the end (no newline yet) counts as none.
//
// Each Step() reads one block, so that whoever shares the thread gets a turn. Not thread safe; `fd`
// is borrowed.
class LogTailSearch {
 public:
  LogTailSearch(int fd, int64_t end, int64_t lines);

  // True when finished; then start() is valid. Error: the read failed.
  Result<bool> Step();

  int64_t start() const { return start_; }

 private:
  // The whole raw line before `end` starts with `head`; true when it is not wanted any more.
  bool VisitLine(int64_t end, std::string_view head);
  // The lines of block_, which was read from `begin` and is `size` long without what follows it.
  bool VisitBlock(int64_t begin, size_t size);

  const int fd_;
  int64_t position_;  // everything from here on has been looked at
  int64_t wanted_;    // lines
  int64_t start_ = 0;
  int64_t line_end_ = -1;  // of the raw line whose begin is searched; -1: no newline met yet
  bool seen_line_ = false;
  std::string block_;  // the block last read and the first bytes of what follows it
};

}  // namespace farlet::server
