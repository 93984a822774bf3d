#include "runtime/shim/log_fifo.h"

#include "runtime/base/clock.h"
#include "runtime/base/log.h"
#include "runtime/base/time_format.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <string>
#include <string_view>

namespace farlet::log {
namespace {

constexpr int kNowhere = -1;
constexpr size_t kMaxLine = 4000;  // at most PIPE_BUF: lines of several threads do not mix

std::atomic<Level> threshold{Level::kInfo};
std::atomic<int> output{STDERR_FILENO};
std::atomic<uint64_t> dropped{0};

char Letter(Level level) {
  switch (level) {
    case Level::kDebug:
      return 'D';
    case Level::kInfo:
      return 'I';
    case Level::kWarning:
      return 'W';
    case Level::kError:
      return 'E';
  }
  return '?';
}

void WriteLine(std::string line) {
  if (line.size() >= kMaxLine) {
    line.resize(kMaxLine - 4);
    line += "…";
  }
  line += '\n';
  const int fd = output.load();
  ssize_t written = 0;
  do {
    written = fd == kNowhere ? 0 : ::write(fd, line.data(), line.size());
  } while (written < 0 && errno == EINTR);
  if (written < 0) {
    ++dropped;
  }
}

}  // namespace

void SetLevel(Level level) {
  threshold = level;
}

void Write(Level level, std::string_view message, Fields fields) {
  if (level < threshold.load()) {
    return;
  }
  if (const uint64_t lost = dropped.exchange(0); lost > 0) {
    WriteLine("lines were lost: the log is full, count=" + std::to_string(lost));
  }
  std::string line = FormatRfc3339Micro(RealClock().WallNow());
  line += ' ';
  line += Letter(level);
  line += " farlet: ";
  line += message;
  AppendFields(line, fields);
  WriteLine(std::move(line));
}

}  // namespace farlet::log

namespace farlet::shim {

void LogToFifo(const std::filesystem::path& fifo) {
  // For reading too: then it neither needs a reader now nor breaks when containerd restarts.
  log::output = ::open(fifo.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC);
}

void LogNothing() {
  log::output = log::kNowhere;
}

}  // namespace farlet::shim
