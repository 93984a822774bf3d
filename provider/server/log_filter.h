#pragma once

#include "provider/server/log_line.h"
#include "provider/server/log_options.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace farlet::server {

// Turns the bytes of a CRI log file into what `kubectl logs` prints. Bytes come in pieces of any
// size; lines of any length pass through in bounded memory. Lines that do not parse are counted and
// left out. Timestamps stand only where a line of the output begins, not before each piece of a
// long one. Not thread safe.
class LogFilter {
 public:
  explicit LogFilter(const LogOptions& options);

  // Appends the output for `bytes` to `out`.
  void Feed(std::string_view bytes, std::string& out);

  // The file ended here (rotation): what follows begins a new raw line.
  void EndOfFile();

  // limitBytes is used up; further input is ignored.
  bool exhausted() const { return remaining_ == 0; }

  int64_t malformed() const { return malformed_; }

  // Of the newest line so far, wanted or not.
  WallTime last_time() const { return last_time_; }

 private:
  enum class State {
    kHeader,  // header_ holds what came of the raw line so far
    kText,    // inside the text of a wanted line
    kSkip,    // inside a line that is left out
  };

  // Each consumes from the front of `bytes`.
  void TakeHeader(std::string_view& bytes, std::string& out);
  void TakeText(std::string_view& bytes, std::string& out);
  void TakeSkipped(std::string_view& bytes);

  void BeginText(const LogLineHeader& line, std::string& out);
  void Emit(std::string_view text, std::string& out);

  LogOptions options_;
  int64_t remaining_;
  State state_ = State::kHeader;
  std::string header_;
  bool partial_ = false;       // of the current raw line
  bool at_line_start_ = true;  // of the output
  WallTime last_time_{};
  int64_t malformed_ = 0;
};

}  // namespace farlet::server
