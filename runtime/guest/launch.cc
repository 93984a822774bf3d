#include "runtime/guest/launch.h"

#include "runtime/base/descriptor_passing.h"
#include "runtime/guest/sys.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <span>
#include <utility>

namespace farlet::guest {
namespace {

constexpr char kTerminal = 'T';
constexpr char kReady = 'R';
constexpr char kError = 'E';
constexpr size_t kMaxMessage = 4096;

// When the agent is gone there is nobody to tell.
void Send(int socket, std::string_view text, std::span<const int> descriptors = {}) {
  (void)SendWithDescriptors(socket, text, descriptors);
}

// All but the standard streams and those in `keep`.
void CloseDescriptors(std::vector<int> keep) {
  std::sort(keep.begin(), keep.end());
  unsigned from = 3;
  for (const int fd : keep) {
    if (fd < static_cast<int>(from)) {
      continue;
    }
    const auto kept = static_cast<unsigned>(fd);
    if (kept > from) {
      ::syscall(SYS_close_range, from, kept - 1, 0u);
    }
    from = kept + 1;
  }
  ::syscall(SYS_close_range, from, ~0u, 0u);
}

// Signals as a new program expects them.
void ResetSignals() {
  for (int number = 1; number < NSIG; ++number) {
    ::signal(number, SIG_DFL);
  }
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

pid_t Clone(const LaunchSpec& spec) {
  clone_args arguments{};
  arguments.flags = spec.namespaces;
  arguments.exit_signal = SIGCHLD;
  if (spec.cgroup >= 0) {
    arguments.flags |= CLONE_INTO_CGROUP;
    arguments.cgroup = static_cast<uint64_t>(spec.cgroup);
  }
  return static_cast<pid_t>(::syscall(SYS_clone3, &arguments, sizeof arguments));
}

}  // namespace

void ChildSocket::SendTerminal(int master) {
  Send(socket_.get(), std::string_view(&kTerminal, 1), {&master, 1});
}

void ChildSocket::SendReady() {
  Send(socket_.get(), std::string_view(&kReady, 1));
}

void ChildSocket::SendError(const Error& error) {
  std::string text{kError, static_cast<char>(error.code)};
  text += error.message;
  text.resize(std::min(text.size(), kMaxMessage));
  Send(socket_.get(), text);
}

bool ChildSocket::WaitForGo() {
  char go = 0;
  ssize_t count = -1;
  do {
    count = ::read(socket_.get(), &go, 1);
  } while (count < 0 && errno == EINTR);
  return count == 1;
}

struct ChildLink::State {
  State(boost::asio::io_context& context, int fd) : socket(context, fd), timer(context) {}

  boost::asio::posix::stream_descriptor socket;
  boost::asio::steady_timer timer;
  Callback<ChildReport> done;
};

ChildLink::ChildLink(boost::asio::io_context& context, UniqueFd socket)
    : state_(std::make_unique<State>(context, socket.Release())) {}

ChildLink::~ChildLink() = default;

void ChildLink::Next(std::chrono::milliseconds timeout, Callback<ChildReport> done) {
  const auto self_while_here = shared_from_this();
  state_->done = std::move(done);
  state_->timer.expires_after(timeout);
  state_->timer.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
    if (const auto self = weak.lock(); self != nullptr && !error) {
      self->Finish(MakeError(Code::kDeadlineExceeded, "the process did not get ready in time"));
    }
  });
  Read();
}

void ChildLink::Read() {
  std::array<char, kMaxMessage> buffer{};
  ReceivedMessage received = ReceiveWithDescriptors(state_->socket.native_handle(), buffer);
  if (received.size < 0 && (errno == EAGAIN || errno == EINTR)) {
    state_->socket.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                              [weak = weak_from_this()](const boost::system::error_code& error) {
                                if (const auto self = weak.lock(); self != nullptr && !error) {
                                  self->Read();
                                }
                              });
    return;
  }
  if (received.size <= 0) {
    Finish(ChildReport{});
    return;
  }
  const std::string_view text(buffer.data(), static_cast<size_t>(received.size));
  if (text.front() == kTerminal) {
    Finish(ChildReport{ChildReport::Kind::kTerminal, std::move(received.descriptors[0])});
  } else if (text.front() == kReady) {
    Finish(ChildReport{ChildReport::Kind::kReady, {}});
  } else {
    const int code = text.size() > 1 ? text[1] : 0;
    const bool known = code > 0 && code <= static_cast<int>(Code::kUnauthenticated);
    Finish(MakeError(known ? static_cast<Code>(code) : Code::kUnknown,
                     std::string(text.substr(std::min<size_t>(2, text.size())))));
  }
}

void ChildLink::Finish(Result<ChildReport> report) {
  if (auto done = std::exchange(state_->done, nullptr)) {
    state_->timer.cancel();
    done(std::move(report));
  }
}

void ChildLink::Go() {
  (void)::send(state_->socket.native_handle(), "G", 1, MSG_NOSIGNAL);
}

Result<Launched> Launch(const LaunchSpec& spec, const std::function<void(ChildSocket&)>& child) {
  std::array<int, 2> pair{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair.data()) != 0) {
    return ErrnoError(errno, "create the socket of a child");
  }
  UniqueFd ours(pair[0]);
  UniqueFd theirs(pair[1]);
  FARLET_TRY(SetNonBlocking(ours.get()));
  UniqueFd own_namespace;
  if (spec.pid_namespace >= 0) {
    FARLET_ASSIGN(own_namespace, Open("/proc/self/ns/pid", O_RDONLY));
    if (::setns(spec.pid_namespace, CLONE_NEWPID) != 0) {
      return ErrnoError(errno, "enter the PID namespace");
    }
  }
  const pid_t pid = Clone(spec);
  const int clone_error = errno;
  if (pid == 0) {
    ResetSignals();
    std::vector<int> keep = spec.keep;
    keep.push_back(theirs.get());
    CloseDescriptors(std::move(keep));
    ChildSocket socket(std::move(theirs));
    child(socket);
    ::_exit(255);
  }
  if (own_namespace.valid() && ::setns(own_namespace.get(), CLONE_NEWPID) != 0) {
    // All later children would be born in there.
    return ErrnoError(errno, "return to the agent's PID namespace");
  }
  if (pid < 0) {
    return ErrnoError(clone_error, "start a process");
  }
  return Launched{pid, std::move(ours)};
}

}  // namespace farlet::guest
