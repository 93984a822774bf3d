#pragma once

#include "provider/server/body_source.h"
#include "provider/server/log_file.h"
#include "provider/server/log_filter.h"
#include "provider/server/log_tail.h"

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace farlet::server {

// Reads one container's log as `kubectl logs` asks for it.
//
// Without follow it ends where the file ended when it was opened. With follow it ends when
// `running` says no and everything has been read; when the file is rotated (renamed and made
// anew), the old one is read to its end first, then the files that came and went meanwhile as far
// as they are still there, then the new one. Every call reads at most one block. Not thread safe.
class LogReader final : public BodySource {
 public:
  // Error: kNotFound when there is no such file, kInvalidArgument when it is not a regular one.
  static Result<std::unique_ptr<LogReader>> Open(const std::string& path,
                                                 const LogOptions& options,
                                                 std::function<bool()> running);

  Result<Next> Produce(std::string& out) override;

  // Lines that were left out because they do not parse.
  int64_t malformed() const { return filter_.malformed(); }

 private:
  LogReader(std::string path, const LogOptions& options, std::function<bool()> running);

  Status Start();
  // One block from the file through the filter; false at its end.
  Result<bool> ReadBlock(std::string& out);
  Result<Next> AtEnd();
  bool Truncated() const;
  void Switch();

  const std::string path_;
  const LogOptions options_;
  const std::function<bool()> running_;
  LogFilter filter_;
  LogFile file_;
  std::optional<LogTailSearch> tail_;
  int64_t offset_ = 0;
  int64_t end_;  // where to stop; the largest number with follow
  std::string block_;
  std::deque<LogFile> successors_;  // to be read after the current file, which is being finished
  bool stopped_ = false;            // the container had ended before the last read
};

}  // namespace farlet::server
