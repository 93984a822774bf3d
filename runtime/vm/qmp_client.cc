#include "runtime/vm/qmp_client.h"

#include "runtime/base/descriptor_passing.h"

#include <fmt/format.h>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <span>
#include <utility>

namespace farlet::vm {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// Longer than anything that we ask for; more is no answer of QEMU's.
constexpr size_t kMaxLine = 256u << 10;

int RemainingMs(steady_clock::time_point deadline) {
  const auto left = std::chrono::ceil<milliseconds>(deadline - steady_clock::now()).count();
  return static_cast<int>(std::clamp<decltype(left)>(left, 0, 1 << 30));
}

}  // namespace

QmpClient::QmpClient(UniqueFd socket, EventHandler on_event)
    : socket_(std::move(socket)), on_event_(std::move(on_event)) {}

Status QmpClient::Negotiate(milliseconds timeout) {
  const Deadline deadline = steady_clock::now() + timeout;
  {
    std::unique_lock lock(mutex_);
    changed_.wait_until(lock, deadline, [this] { return greeting_ || failure_; });
    if (failure_) {
      return *failure_;
    }
    if (!greeting_) {
      return MakeError(Code::kDeadlineExceeded, "QMP: QEMU sent no greeting in time");
    }
  }
  auto result = Execute("qmp_capabilities", nullptr, milliseconds(RemainingMs(deadline)));
  if (!result) {
    return std::move(result).error();
  }
  return {};
}

Result<nlohmann::json> QmpClient::Execute(std::string_view command,
                                          const nlohmann::json& arguments,
                                          milliseconds timeout,
                                          int passed_fd) {
  const Deadline deadline = steady_clock::now() + timeout;
  const std::scoped_lock call(call_mutex_);
  const uint64_t id = ++last_id_;
  const std::string what = fmt::format("QMP {}", command);
  {
    const std::scoped_lock lock(mutex_);
    if (failure_) {
      return Wrap(what, *failure_);
    }
    awaited_id_ = id;
    reply_.reset();
  }
  FARLET_TRY(Annotate(Send(QmpCommandLine(command, arguments, id), passed_fd, deadline), what));
  std::unique_lock lock(mutex_);
  changed_.wait_until(lock, deadline, [this] { return reply_ || failure_; });
  awaited_id_ = 0;
  if (reply_) {
    return Annotate(*std::exchange(reply_, std::nullopt), what);
  }
  if (failure_) {
    return Wrap(what, *failure_);
  }
  return MakeError(Code::kDeadlineExceeded, fmt::format("{}: no answer in time", what));
}

void QmpClient::Expect(EventFilter matches) {
  const std::scoped_lock lock(mutex_);
  expected_ = std::move(matches);
  event_.reset();
}

Result<QmpEvent> QmpClient::AwaitExpected(milliseconds timeout) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, timeout, [this] { return event_ || failure_; });
  expected_ = nullptr;
  if (event_) {
    return *std::exchange(event_, std::nullopt);
  }
  if (failure_) {
    return *failure_;
  }
  return MakeError(Code::kDeadlineExceeded, "QMP: the expected event did not come in time");
}

Status QmpClient::Send(std::string_view line, int passed_fd, Deadline deadline) {
  while (!line.empty()) {
    const std::span<const int> passed(&passed_fd, passed_fd >= 0 ? 1 : 0);
    const ssize_t sent = SendWithDescriptors(socket_.get(), line, passed, MSG_DONTWAIT);
    if (sent > 0) {
      line.remove_prefix(static_cast<size_t>(sent));
      passed_fd = -1;
      continue;
    }
    if (errno == EPIPE || errno == ECONNRESET) {
      return Unavailable("QEMU is gone");
    }
    if (errno != EINTR && errno != EAGAIN) {
      return ErrnoError(errno, "send");
    }
    pollfd writable{.fd = socket_.get(), .events = POLLOUT, .revents = 0};
    if (::poll(&writable, 1, RemainingMs(deadline)) == 0) {
      // Half a line may be out: nothing after it would be understood.
      Error error = MakeError(Code::kDeadlineExceeded, "QEMU does not read its commands");
      Fail(error);
      return error;
    }
  }
  return {};
}

bool QmpClient::OnReadable() {
  std::array<char, 16384> buffer{};
  while (!ended_) {
    const ssize_t count = ::recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count < 0 && errno == EAGAIN) {
      return true;
    }
    if (count <= 0) {
      ended_ = true;
      Fail(Unavailable("QEMU is gone"));
      break;
    }
    input_.append(buffer.data(), static_cast<size_t>(count));
    if (const Status status = TakeLines(); !status) {
      ended_ = true;
      Fail(status.error());
    }
  }
  return false;
}

Status QmpClient::TakeLines() {
  size_t start = 0;
  for (size_t end = input_.find('\n'); end != std::string::npos; end = input_.find('\n', start)) {
    const std::string_view line = std::string_view(input_).substr(start, end - start);
    start = end + 1;
    if (line.find_first_not_of(" \t\r") != std::string_view::npos) {
      FARLET_TRY(OnLine(line));
    }
  }
  input_.erase(0, start);
  if (input_.size() > kMaxLine) {
    return MakeError(Code::kDataLoss, fmt::format("QMP: a line of over {} bytes", kMaxLine));
  }
  return {};
}

Status QmpClient::OnLine(std::string_view line) {
  if (line.size() > kMaxLine) {
    return MakeError(Code::kDataLoss, fmt::format("QMP: a line of over {} bytes", kMaxLine));
  }
  FARLET_ASSIGN(QmpMessage message, ParseQmpLine(line));
  if (auto* event = std::get_if<QmpEvent>(&message)) {
    OnEvent(std::move(*event));
    return {};
  }
  {
    const std::scoped_lock lock(mutex_);
    if (auto* greeting = std::get_if<QmpGreeting>(&message)) {
      greeting_ = std::move(*greeting);
    } else if (auto& reply = std::get<QmpReply>(message);
               reply.id != 0 && reply.id == awaited_id_) {
      reply_ = std::move(reply.result);
    }
  }
  changed_.notify_all();
  return {};
}

void QmpClient::OnEvent(QmpEvent event) {
  if (on_event_) {
    on_event_(event);
  }
  {
    const std::scoped_lock lock(mutex_);
    if (!expected_ || event_ || !expected_(event)) {
      return;
    }
    event_ = std::move(event);
  }
  changed_.notify_all();
}

void QmpClient::Fail(Error error) {
  {
    const std::scoped_lock lock(mutex_);
    if (!failure_) {
      failure_ = std::move(error);
    }
  }
  changed_.notify_all();
}

}  // namespace farlet::vm
