#include "runtime/shim/pod.h"

#include "runtime/base/log.h"
#include "runtime/shim/identity.h"

#include <fmt/format.h>

#include <fcntl.h>

#include <cerrno>
#include <utility>

namespace farlet::shim {
namespace asio = boost::asio;

Pod::Pod(Threads threads, std::shared_ptr<Machine> machine, const Clock& clock)
    : threads_(threads), machine_(std::move(machine)), clock_(clock) {}

void Pod::Boot() {
  state_ = State::kBooting;
  // From zero: the shim exists for this pod, so all that it waited was for it.
  deadline_ = CpuTimer::StartFromZero(
      threads_.io, {.usual = kBootLimit, .longest = kLongestBoot},
      [machine = machine_] { return machine->WaitedForCpu(); },
      [weak = weak_from_this()](std::chrono::nanoseconds took, std::chrono::nanoseconds waited) {
        const auto self = weak.lock();
        if (self && self->state_ == State::kBooting) {
          self->OnLate(took, waited);
        }
      });
  RunBlocking<BootedMachine>(
      threads_, [machine = machine_] { return machine->Boot(); },
      [self = shared_from_this()](Result<BootedMachine> booted) {
        self->OnBooted(std::move(booted));
      });
}

void Pod::OnLate(std::chrono::nanoseconds took, std::chrono::nanoseconds waited) {
  using Seconds = std::chrono::duration<double>;
  Fail(MakeError(Code::kDeadlineExceeded,
                 fmt::format("the VM did not start within {:.0f} s ({:.0f} s of them without a CPU "
                             "on the host): {}",
                             Seconds(took).count(), Seconds(waited).count(),
                             agent_ ? "its guest does not answer" : machine_->Stage())));
}

void Pod::WhenReady(StatusCallback done) {
  if (state_ == State::kReady) {
    done({});
  } else if (state_ == State::kGone) {
    done(failure_ ? *failure_ : Unavailable(reason_));
  } else {
    waiting_.push_back(std::move(done));
  }
}

void Pod::OnBooted(Result<BootedMachine> booted) {
  if (state_ != State::kBooting) {
    return;  // too late, or killed meanwhile: the machine is released by whoever decided so
  }
  if (!booted) {
    Fail(Wrap("start the VM", std::move(booted).error()));
    return;
  }
  pid_ = booted->pid;
  Watch(booted->exit_fd, exit_, [](Pod& pod) { pod.Gone(pod.machine_->ExitReason()); });
  // Without it the guest would wait for its volumes for ever, and nobody would see why.
  Watch(booted->files_exit_fd, files_exit_, [](Pod& pod) {
    // It also ends with the machine, and then the machine knows why.
    pod.Lost(pod.machine_->ExitReason() == "running" ? "its file server ended" : "");
  });
  const auto client = ttrpc::Client::Over(threads_.io, std::move(booted->agent));
  client->OnEnd([weak = weak_from_this()](const Error& /*error*/) {
    if (const auto self = weak.lock()) {
      self->Lost("");
    }
  });
  agent_.emplace(client, threads_.io, [machine = machine_] { return machine->WaitedForCpu(); });
  Prepare(std::move(booted->identity));
}

void Pod::Prepare(guest::v1::PrepareRequest identity) {
  if (const Status unique = MakeUnique(identity, clock_); !unique) {
    Fail(unique.error());
    return;
  }
  agent_->Call<guest::v1::PrepareResponse>(
      "Prepare", identity, kNoDeadline,  // the boot's own comes first
      [self = shared_from_this()](const Result<guest::v1::PrepareResponse>& prepared) {
        if (self->state_ != State::kBooting) {
          return;
        }
        if (!prepared) {
          self->Fail(prepared.error());
          return;
        }
        self->deadline_->Cancel();
        self->state_ = State::kReady;
        for (const auto& done : std::exchange(self->waiting_, {})) {
          done({});
        }
      });
}

void Pod::Watch(int exit_fd, Descriptor& watched, const std::function<void(Pod&)>& gone) {
  if (exit_fd < 0) {
    return;
  }
  // The machine keeps its own; asio closes this one.
  const int copy = ::fcntl(exit_fd, F_DUPFD_CLOEXEC, 3);
  if (copy < 0) {
    log::Warning("the VM's end is only seen by its connection",
                 {{"error", ErrnoError(errno, "duplicate a descriptor")}});
    return;
  }
  watched.emplace(threads_.io, copy);
  watched->async_wait(asio::posix::stream_descriptor::wait_read,
                      [weak = weak_from_this(), gone](const boost::system::error_code& error) {
                        const auto self = weak.lock();
                        if (!error && self) {
                          gone(*self);
                        }
                      });
}

void Pod::Fail(const Error& error) {
  log::Error("the pod's VM is of no use", {{"error", error}});
  failure_ = error;
  Gone(error.message);
  // Not only when containerd says Shutdown: it may run, and nobody will ask for it again.
  RunBlocking<void>(
      threads_,
      [machine = machine_]() -> Status {
        machine->Release();
        return {};
      },
      [](const Status& /*released*/) {});
}

// Without its agent the guest cannot be told anything, so it has no right to go on.
void Pod::Lost(const std::string& reason) {
  if (state_ == State::kGone) {
    return;
  }
  lost_ = reason;
  RunBlocking<void>(
      threads_, [machine = machine_] { return machine->Kill(); },
      [self = shared_from_this()](const Status& killed) {
        if (!killed) {
          log::Error("kill the VM", {{"error", killed.error()}});
        }
        self->Gone(self->machine_->ExitReason());
      });
}

void Pod::Kill() {
  if (state_ == State::kGone) {
    return;
  }
  Lost("");
}

void Pod::Gone(std::string reason) {
  if (state_ == State::kGone) {
    return;
  }
  const bool was_ready = state_ == State::kReady;
  state_ = State::kGone;
  reason_ = lost_.empty() ? std::move(reason) : lost_;
  if (!failure_) {
    failure_ = Unavailable("the pod's VM is gone: " + reason_);
  }
  if (deadline_) {
    deadline_->Cancel();
  }
  exit_.reset();
  files_exit_.reset();
  if (agent_) {
    agent_->Close();
  }
  for (const auto& done : std::exchange(waiting_, {})) {
    done(*failure_);
  }
  if (was_ready && on_gone_) {
    on_gone_(reason_);
  }
}

}  // namespace farlet::shim
