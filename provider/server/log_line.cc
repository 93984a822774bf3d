#include "provider/server/log_line.h"

#include "runtime/base/time_format.h"

#include <algorithm>
#include <array>

namespace farlet::server {
namespace {

// "2006-01-02T15:04:05" is so long; a fraction and a zone follow.
constexpr size_t kSecondsEnd = 19;
constexpr size_t kFractionDigits = 9;

// The next space within the longest header, or npos.
size_t FindSpace(std::string_view text, size_t from) {
  return text.substr(0, kMaxLogHeader).find(' ', from);
}

}  // namespace

HeaderState ParseLogHeader(std::string_view text, LogLineHeader& header) {
  size_t begin = 0;
  std::array<std::string_view, 3> fields;
  for (std::string_view& field : fields) {
    const size_t end = FindSpace(text, begin);
    if (end == std::string_view::npos) {
      return text.size() < kMaxLogHeader ? HeaderState::kNeedMore : HeaderState::kMalformed;
    }
    field = text.substr(begin, end - begin);
    begin = end + 1;
  }
  const bool is_stderr = fields[1] == "stderr";
  if (!is_stderr && fields[1] != "stdout") {
    return HeaderState::kMalformed;
  }
  auto time = ParseRfc3339(fields[0]);
  if (!time) {
    return HeaderState::kMalformed;
  }
  header.time = *time;
  header.timestamp = fields[0];
  header.is_stderr = is_stderr;
  header.partial = fields[2].substr(0, fields[2].find(':')) == "P";
  header.size = begin;
  return HeaderState::kComplete;
}

void AppendFixedTimestamp(std::string_view timestamp, std::string& out) {
  const std::string_view rest = timestamp.substr(std::min(kSecondsEnd, timestamp.size()));
  const size_t zone = rest.find_first_of("Z+-");
  std::string_view fraction = rest.substr(0, zone);
  if (!fraction.empty()) {
    fraction.remove_prefix(1);
  }
  fraction = fraction.substr(0, kFractionDigits);
  out += timestamp.substr(0, kSecondsEnd);
  out += '.';
  out += fraction;
  out.append(kFractionDigits - fraction.size(), '0');
  if (zone != std::string_view::npos) {
    out += rest.substr(zone);
  }
}

}  // namespace farlet::server
