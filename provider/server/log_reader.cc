#include "provider/server/log_reader.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <utility>

namespace farlet::server {
namespace {

constexpr int64_t kBlockSize = 65536;

}  // namespace

Result<std::unique_ptr<LogReader>> LogReader::Open(const std::string& path,
                                                   const LogOptions& options,
                                                   std::function<bool()> running) {
  std::unique_ptr<LogReader> reader(new LogReader(path, options, std::move(running)));
  FARLET_TRY(reader->Start());
  return reader;
}

LogReader::LogReader(std::string path, const LogOptions& options, std::function<bool()> running)
    : path_(std::move(path)),
      options_(options),
      running_(std::move(running)),
      filter_(options),
      end_(std::numeric_limits<int64_t>::max()) {}

Status LogReader::Start() {
  FARLET_ASSIGN(file_, OpenLogFile(path_));
  if (!options_.follow) {
    end_ = file_.size;
  }
  if (options_.tail_lines) {
    tail_.emplace(file_.fd.get(), file_.size, *options_.tail_lines);
  }
  return {};
}

Result<BodySource::Next> LogReader::Produce(std::string& out) {
  if (tail_) {
    FARLET_ASSIGN(const bool found, tail_->Step());
    if (found) {
      offset_ = tail_->start();
      tail_.reset();
    }
    return Next::kMore;
  }
  FARLET_ASSIGN(const bool more, ReadBlock(out));
  if (filter_.exhausted()) {
    return Next::kEnd;
  }
  return more ? Result<Next>(Next::kMore) : AtEnd();
}

Result<bool> LogReader::ReadBlock(std::string& out) {
  const auto wanted = static_cast<size_t>(std::min(kBlockSize, end_ - offset_));
  block_.resize(wanted);
  ssize_t count = 0;
  do {
    count = ::pread(file_.fd.get(), block_.data(), wanted, offset_);
  } while (count < 0 && errno == EINTR);
  if (count < 0) {
    return ErrnoError(errno, "read log file " + path_);
  }
  offset_ += count;
  filter_.Feed({block_.data(), static_cast<size_t>(count)}, out);
  return count > 0;
}

Result<BodySource::Next> LogReader::AtEnd() {
  if (!options_.follow) {
    filter_.EndOfFile();
    return Next::kEnd;
  }
  if (!successors_.empty()) {
    Switch();
    return Next::kMore;
  }
  if (Truncated()) {
    filter_.EndOfFile();
    offset_ = 0;
    return Next::kMore;
  }
  successors_ = FindSuccessors(path_, file_, filter_.last_time());
  if (!successors_.empty()) {
    // The runtime may still be writing its last lines to the old file: look once more, later.
    return stopped_ ? Next::kMore : Next::kWait;
  }
  if (stopped_) {
    return Next::kEnd;
  }
  stopped_ = !running_ || !running_();
  return stopped_ ? Next::kMore : Next::kWait;
}

bool LogReader::Truncated() const {
  struct stat info {};

  return ::fstat(file_.fd.get(), &info) == 0 && info.st_size < offset_;
}

void LogReader::Switch() {
  filter_.EndOfFile();
  file_ = std::move(successors_.front());
  successors_.pop_front();
  offset_ = 0;
}

}  // namespace farlet::server
