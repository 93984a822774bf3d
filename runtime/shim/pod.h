#pragma once

#include "runtime/base/clock.h"
#include "runtime/shim/background.h"
#include "runtime/shim/cpu_timer.h"
#include "runtime/shim/guest_agent.h"
#include "runtime/shim/machine.h"

#include <boost/asio/posix/stream_descriptor.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace farlet::shim {

// The pod's VM from its start to its end, for the I/O thread.
//
//   Boot() ─▶ kBooting ── machine runs, guest prepared ──▶ kReady ── machine gone ──▶ kGone
//                 └──────────── any step failed, or too late ─────────────────────────▶ kGone
class Pod final : public std::enable_shared_from_this<Pod> {
 public:
  enum class State { kNew, kBooting, kReady, kGone };

  Pod(Threads threads, std::shared_ptr<Machine> machine, const Clock& clock);

  // Starts the machine and gives the guest its identity, within kBootLimit.
  void Boot();

  // Instead of Boot(): the pod cannot be, and Create tells why.
  void Refuse(const Error& error) { Fail(error); }

  // Calls `done` once kReady (at once if it is), or with the reason why it never will be.
  void WhenReady(StatusCallback done);

  // `gone` is called once, with the reason, when a pod that was ready loses its VM.
  void OnGone(std::function<void(const std::string& reason)> gone) { on_gone_ = std::move(gone); }

  // For people, while kGone.
  const std::string& reason() const { return reason_; }

  State state() const { return state_; }

  // Null unless kReady.
  GuestAgent* agent() { return state_ == State::kReady ? &*agent_ : nullptr; }

  const std::shared_ptr<Machine>& machine() const { return machine_; }

  // QEMU's, 0 before it runs.
  uint32_t pid() const { return static_cast<uint32_t>(pid_); }

  // Ends the machine; OnGone follows.
  void Kill();

 private:
  using Descriptor = std::optional<boost::asio::posix::stream_descriptor>;

  void OnLate(std::chrono::nanoseconds took, std::chrono::nanoseconds waited);
  void OnBooted(Result<BootedMachine> booted);
  void Prepare(guest::v1::PrepareRequest identity);
  // Calls `gone` when the process of this descriptor has ended.
  void Watch(int exit_fd, Descriptor& watched, const std::function<void(Pod&)>& gone);
  void Fail(const Error& error);
  // Kills the machine; `reason`, if any, says more about the why than the machine's own.
  void Lost(const std::string& reason);
  void Gone(std::string reason);

  const Threads threads_;
  const std::shared_ptr<Machine> machine_;
  const Clock& clock_;
  State state_ = State::kNew;
  std::optional<Error> failure_;
  std::string reason_;
  std::string lost_;  // why it was killed, where the machine would only say that it was
  pid_t pid_ = 0;
  std::optional<GuestAgent> agent_;
  Descriptor exit_;
  Descriptor files_exit_;
  std::shared_ptr<CpuTimer> deadline_;
  std::vector<StatusCallback> waiting_;
  std::function<void(const std::string&)> on_gone_;
};

}  // namespace farlet::shim
