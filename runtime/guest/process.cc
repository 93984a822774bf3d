#include "runtime/guest/process.h"

#include "runtime/base/pipe.h"
#include "runtime/guest/sys.h"
#include "runtime/ttrpc/types.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <utility>

namespace farlet::guest {
namespace {

// Longer than the slowest set-up under emulation, shorter than anybody's patience.
constexpr std::chrono::seconds kReadyTimeout{30};

Result<UniqueFd> Duplicate(int fd) {
  UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (!copy.valid()) {
    return ErrnoError(errno, "duplicate a descriptor");
  }
  return copy;
}

}  // namespace

Status Process::Launch(const LaunchSpec& spec,
                       bool terminal,
                       bool wants_input,
                       const std::function<void(const ChildStdio&, ChildSocket&)>& child) {
  terminal_ = terminal;
  Pipe in;
  Pipe out;
  Pipe err;
  if (!terminal) {
    if (wants_input) {
      FARLET_ASSIGN(in, MakePipe());
      FARLET_TRY(SetNonBlocking(in.write.get()));
      in_ = std::make_shared<InputStream>(context_, std::move(in.write));
    } else {
      FARLET_ASSIGN(in.read, guest::Open("/dev/null", O_RDONLY));
    }
    FARLET_ASSIGN(out, MakePipe());
    FARLET_ASSIGN(err, MakePipe());
    FARLET_TRY(SetNonBlocking(out.read.get()));
    FARLET_TRY(SetNonBlocking(err.read.get()));
    out_ = std::make_shared<OutputStream>(context_, std::move(out.read));
    err_ = std::make_shared<OutputStream>(context_, std::move(err.read));
  }
  const ChildStdio stdio{in.read.get(), out.write.get(), err.write.get()};
  LaunchSpec with_streams = spec;
  for (const int fd : {stdio.in, stdio.out, stdio.err}) {
    with_streams.keep.push_back(fd);
  }
  FARLET_ASSIGN(auto launched,
                guest::Launch(with_streams, [&](ChildSocket& socket) { child(stdio, socket); }));
  pid_ = launched.pid;
  link_ = std::make_shared<ChildLink>(context_, std::move(launched.socket));
  return {};
}

void Process::Follow(bool until_ready, StatusCallback done) {
  link_->Next(kReadyTimeout, [self = shared_from_this(), until_ready,
                              done = std::move(done)](Result<ChildReport> report) {
    self->Report(until_ready, false, std::move(report), done);
  });
}

void Process::Go(StatusCallback done) {
  if (link_ == nullptr) {
    done(MakeError(Code::kFailedPrecondition, "the process has been started already"));
    return;
  }
  link_->Go();
  link_->Next(kReadyTimeout,
              [self = shared_from_this(), done = std::move(done)](Result<ChildReport> report) {
                self->Report(false, true, std::move(report), done);
              });
}

void Process::Report(bool until_ready,
                     bool ready,
                     Result<ChildReport> report,
                     const StatusCallback& done) {
  using Kind = ChildReport::Kind;
  if (report && report->kind == Kind::kTerminal) {
    if (auto taken = TakeTerminal(std::move(report->fd)); !taken) {
      done(std::move(taken));
      return;
    }
    Follow(until_ready, done);
    return;
  }
  if (report && report->kind == Kind::kReady && !until_ready) {
    link_->Next(kReadyTimeout, [self = shared_from_this(), done](Result<ChildReport> next) {
      self->Report(false, true, std::move(next), done);
    });
    return;
  }
  if (report && report->kind == Kind::kReady) {
    done({});
    return;
  }
  link_.reset();
  if (!report) {
    done(std::move(report).error());
  } else if (ready) {
    done({});
  } else {
    done(MakeError(Code::kUnknown,
                   "unable to start container process: it ended before it was ready"));
  }
}

Status Process::TakeTerminal(UniqueFd master) {
  if (!master.valid()) {
    return Internal("the process sent no terminal");
  }
  FARLET_TRY(SetNonBlocking(master.get()));
  FARLET_ASSIGN(UniqueFd output, Duplicate(master.get()));
  FARLET_ASSIGN(UniqueFd input, Duplicate(master.get()));
  out_ = std::make_shared<OutputStream>(context_, std::move(output));
  in_ = std::make_shared<InputStream>(context_, std::move(input));
  master_ = std::move(master);
  return {};
}

Result<UniqueFd> Process::Open() const {
  if (!exited_ && pid_ > 0) {
    UniqueFd fd(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
    if (fd.valid()) {
      return fd;
    }
  }
  return MakeError(Code::kFailedPrecondition,
                   "container " + container_id_ + ": its process does not run");
}

Status Process::Signal(int signal) const {
  // It is not reaped yet, so nobody else has its pid.
  if (exited_ || pid_ <= 0 || ::kill(pid_, signal) == 0 || errno == ESRCH) {
    return {};
  }
  return ErrnoError(errno, "signal process " + std::to_string(pid_));
}

void Process::Ended(int wait_status) {
  exited_ = true;
  exit_.status = static_cast<uint32_t>(WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status)
                                                                : WEXITSTATUS(wait_status));
  exit_.at_ns = WallTimeNs();
  if (in_ != nullptr && !terminal_) {
    in_->Close();
  }
  for (auto& [id, waiter] : std::exchange(waiters_, {})) {
    waiter(exit_);
  }
}

void Process::Wait(const ttrpc::Cancellation& cancellation, Waiter waiter) {
  if (exited_) {
    waiter(exit_);
    return;
  }
  const uint64_t id = next_waiter_++;
  waiters_.emplace_back(id, std::move(waiter));
  cancellation.OnCancel([weak = weak_from_this(), id] {
    if (const auto self = weak.lock()) {
      std::erase_if(self->waiters_, [id](const auto& entry) { return entry.first == id; });
    }
  });
}

void Process::ReadOutput(unsigned stream,
                         size_t max,
                         const ttrpc::Cancellation& cancellation,
                         Callback<Chunk> done) {
  if (stream != 1 && stream != 2) {
    done(InvalidArgument("read output: there is no stream " + std::to_string(stream)));
    return;
  }
  const auto& output = stream == 1 ? out_ : err_;
  if (output == nullptr) {
    done(Chunk{.eof = true});
    return;
  }
  output->Read(max, cancellation, std::move(done));
}

void Process::WriteInput(std::string data, StatusCallback done) {
  if (in_ == nullptr) {
    done(MakeError(Code::kFailedPrecondition, "write input: the process has none"));
    return;
  }
  in_->Write(std::move(data), std::move(done));
}

void Process::CloseInput() {
  if (in_ != nullptr && !terminal_) {
    in_->CloseWhenWritten();
  }
}

Status Process::Resize(unsigned rows, unsigned columns) {
  if (!master_.valid()) {
    return MakeError(Code::kFailedPrecondition, "resize: the process has no terminal");
  }
  if (rows == 0 || rows > 65535 || columns == 0 || columns > 65535) {
    return InvalidArgument("resize: rows and columns must be 1 to 65535");
  }
  const winsize size{.ws_row = static_cast<unsigned short>(rows),
                     .ws_col = static_cast<unsigned short>(columns)};
  if (::ioctl(master_.get(), TIOCSWINSZ, &size) != 0) {
    return ErrnoError(errno, "resize the terminal");
  }
  return {};
}

void Process::CloseStreams() {
  for (const auto& output : {out_, err_}) {
    if (output != nullptr) {
      output->Close();
    }
  }
  if (in_ != nullptr) {
    in_->Close();
  }
  master_.Close();
}

}  // namespace farlet::guest
