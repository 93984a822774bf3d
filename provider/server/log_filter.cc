#include "provider/server/log_filter.h"

#include <algorithm>
#include <limits>

namespace farlet::server {

LogFilter::LogFilter(const LogOptions& options)
    : options_(options),
      remaining_(options.limit_bytes.value_or(std::numeric_limits<int64_t>::max())) {}

void LogFilter::Feed(std::string_view bytes, std::string& out) {
  while (!bytes.empty() && !exhausted()) {
    switch (state_) {
      case State::kHeader:
        TakeHeader(bytes, out);
        break;
      case State::kText:
        TakeText(bytes, out);
        break;
      case State::kSkip:
        TakeSkipped(bytes);
        break;
    }
  }
}

void LogFilter::EndOfFile() {
  if (state_ == State::kHeader && !header_.empty()) {
    ++malformed_;
  }
  header_.clear();
  state_ = State::kHeader;
}

void LogFilter::TakeHeader(std::string_view& bytes, std::string& out) {
  const size_t newline = bytes.find('\n');
  const size_t room = kMaxLogHeader - header_.size();
  const size_t taken = std::min({newline, room, bytes.size()});
  header_ += bytes.substr(0, taken);
  LogLineHeader line;
  const HeaderState parsed = ParseLogHeader(header_, line);
  if (parsed == HeaderState::kComplete) {
    // What was taken beyond the header is text: give it back.
    bytes.remove_prefix(taken - (header_.size() - line.size));
    BeginText(line, out);
    header_.clear();
    return;
  }
  bytes.remove_prefix(taken);
  if (parsed == HeaderState::kMalformed || taken == newline) {
    ++malformed_;
    header_.clear();
    state_ = State::kSkip;
  }
}

void LogFilter::BeginText(const LogLineHeader& line, std::string& out) {
  partial_ = line.partial;
  last_time_ = std::max(last_time_, line.time);
  const bool wanted_stream = line.is_stderr ? options_.want_stderr : options_.want_stdout;
  const bool recent = !options_.since || line.time >= *options_.since;
  if (!wanted_stream || !recent) {
    state_ = State::kSkip;
    return;
  }
  state_ = State::kText;
  if (options_.timestamps && at_line_start_) {
    std::string prefix;
    AppendFixedTimestamp(line.timestamp, prefix);
    prefix += ' ';
    Emit(prefix, out);
  }
}

void LogFilter::TakeText(std::string_view& bytes, std::string& out) {
  const size_t newline = bytes.find('\n');
  if (newline == std::string_view::npos) {
    Emit(bytes, out);
    bytes = {};
    return;
  }
  Emit(bytes.substr(0, newline + (partial_ ? 0 : 1)), out);
  bytes.remove_prefix(newline + 1);
  state_ = State::kHeader;
}

void LogFilter::TakeSkipped(std::string_view& bytes) {
  const size_t newline = bytes.find('\n');
  bytes.remove_prefix(newline == std::string_view::npos ? bytes.size() : newline + 1);
  if (newline != std::string_view::npos) {
    state_ = State::kHeader;
  }
}

void LogFilter::Emit(std::string_view text, std::string& out) {
  text = text.substr(
      0, static_cast<size_t>(std::min<int64_t>(remaining_, static_cast<int64_t>(text.size()))));
  if (!text.empty()) {
    out += text;
    at_line_start_ = text.back() == '\n';
  }
  remaining_ -= static_cast<int64_t>(text.size());
}

}  // namespace farlet::server
