#include "provider/server/log_tail.h"

#include "provider/server/log_line.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace farlet::server {
namespace {

constexpr int64_t kBlockSize = 65536;

Status ReadExactly(int fd, int64_t offset, char* data, size_t size) {
  while (size > 0) {
    const ssize_t count = ::pread(fd, data, size, offset);
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count < 0) {
      return ErrnoError(errno, "read log file");
    }
    if (count == 0) {
      return MakeError(Code::kDataLoss, "read log file: it became shorter");
    }
    data += count;
    size -= static_cast<size_t>(count);
    offset += count;
  }
  return {};
}

}  // namespace

LogTailSearch::LogTailSearch(int fd, int64_t end, int64_t lines)
    : fd_(fd), position_(end), wanted_(lines) {}

Result<bool> LogTailSearch::Step() {
  if (position_ == 0) {
    return true;
  }
  const int64_t begin = std::max<int64_t>(0, position_ - kBlockSize);
  const auto size = static_cast<size_t>(position_ - begin);
  const std::string following = block_.substr(0, kMaxLogHeader);
  block_.resize(size);
  FARLET_TRY(ReadExactly(fd_, begin, block_.data(), size));
  block_ += following;
  position_ = begin;
  return VisitBlock(begin, size) || begin == 0;
}

bool LogTailSearch::VisitBlock(int64_t begin, size_t size) {
  const std::string_view text = block_;
  size_t end = size;
  while (end > 0) {
    const size_t newline = text.substr(0, end).rfind('\n');
    if (newline == std::string_view::npos) {
      break;
    }
    const int64_t line_begin = begin + static_cast<int64_t>(newline) + 1;
    if (line_end_ >= 0 && VisitLine(line_end_, text.substr(newline + 1, kMaxLogHeader))) {
      return true;
    }
    line_end_ = line_begin;
    end = newline;
  }
  return begin == 0 && line_end_ >= 0 && VisitLine(line_end_, text.substr(0, kMaxLogHeader));
}

bool LogTailSearch::VisitLine(int64_t end, std::string_view head) {
  LogLineHeader line;
  if (ParseLogHeader(head.substr(0, head.find('\n')), line) != HeaderState::kComplete) {
    return false;
  }
  // The last piece of a line ends it; a line whose last piece is missing ends with the file.
  if (!line.partial || !seen_line_) {
    if (wanted_ == 0) {
      start_ = end;
      return true;
    }
    --wanted_;
  }
  seen_line_ = true;
  return false;
}

}  // namespace farlet::server
