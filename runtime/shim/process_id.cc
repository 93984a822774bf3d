#include "runtime/shim/process_id.h"

#include "runtime/base/fd.h"
#include "runtime/base/file.h"

#include <fmt/format.h>

#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <csignal>
#include <string>
#include <string_view>

namespace farlet::shim {
namespace {

struct Stat {
  char state = '?';
  uint64_t start_time = 0;
};

Result<Stat> ReadStat(pid_t pid) {
  FARLET_ASSIGN(const std::string text, ReadFile(fmt::format("/proc/{}/stat", pid), 4096));
  // The name in parentheses may hold anything; what follows the last one are plain fields, the
  // first of them the third of proc(5).
  size_t at = text.rfind(')');
  if (at == std::string::npos || at + 2 >= text.size()) {
    return Internal(fmt::format("read /proc/{}/stat: makes no sense", pid));
  }
  at += 2;
  Stat stat{.state = text[at]};
  constexpr int kFieldsToStartTime = 19;
  for (int i = 0; i < kFieldsToStartTime && at != std::string::npos; ++i) {
    at = text.find(' ', at);
    at = at == std::string::npos ? at : at + 1;
  }
  if (at == std::string::npos ||
      std::from_chars(text.data() + at, text.data() + text.size(), stat.start_time).ec !=
          std::errc()) {
    return Internal(fmt::format("read /proc/{}/stat: no start time", pid));
  }
  return stat;
}

}  // namespace

Result<ProcessId> IdOf(pid_t pid) {
  FARLET_ASSIGN(const Stat stat, ReadStat(pid));
  return ProcessId{.pid = pid, .start_time = stat.start_time};
}

bool IsAlive(const ProcessId& id) {
  if (id.pid <= 0) {
    return false;
  }
  const Result<Stat> stat = ReadStat(id.pid);
  return stat && stat->start_time == id.start_time && stat->state != 'Z' && stat->state != 'X';
}

Status KillAndWait(const ProcessId& id, std::chrono::milliseconds patience) {
  if (id.pid <= 0) {
    return {};
  }
  // The descriptor is taken first: what it names stays the same, and the check then holds for it.
  const UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, id.pid, 0)));
  if (!process.valid()) {
    return errno == ESRCH ? Status() : ErrnoError(errno, fmt::format("open process {}", id.pid));
  }
  if (!IsAlive(id)) {
    return {};
  }
  if (::syscall(SYS_pidfd_send_signal, process.get(), SIGKILL, nullptr, 0) != 0 && errno != ESRCH) {
    return ErrnoError(errno, fmt::format("kill process {}", id.pid));
  }
  pollfd waiting{.fd = process.get(), .events = POLLIN, .revents = 0};
  if (::poll(&waiting, 1, static_cast<int>(patience.count())) == 0) {
    return MakeError(Code::kDeadlineExceeded,
                     fmt::format("kill process {}: it does not go", id.pid));
  }
  return {};
}

}  // namespace farlet::shim
