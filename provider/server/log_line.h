#pragma once

#include "runtime/base/clock.h"

#include <optional>
#include <string>
#include <string_view>

namespace farlet::server {

// One line of a CRI log file: `TIMESTAMP STREAM TAGS TEXT`, for example
//
//   2026-11-22T09:41:54.59982387Z stdout F text
//
// TAGS are separated by ":"; the first is P for a piece of a longer line (its newline is not part
// of the text) and F for a whole line or its last piece.
struct LogLineHeader {
  WallTime time;
  std::string_view timestamp;  // as written, in the parsed buffer
  bool is_stderr = false;
  bool partial = false;
  size_t size = 0;  // the text begins here
};

// No valid header is longer: timestamp 35, stream 6, tags, three spaces.
inline constexpr size_t kMaxLogHeader = 128;

enum class HeaderState { kComplete, kNeedMore, kMalformed };

// Parses the header at the front of `text`, which may hold more than the header but not a newline
// inside it. kNeedMore only while `text` is shorter than kMaxLogHeader.
HeaderState ParseLogHeader(std::string_view text, LogLineHeader& header);

// Appends the timestamp with nine fraction digits, its zone as written.
void AppendFixedTimestamp(std::string_view timestamp, std::string& out);

}  // namespace farlet::server
