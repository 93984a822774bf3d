#pragma once

#include "runtime/base/fd.h"
#include "runtime/base/result.h"
#include "runtime/vm/qmp_message.h"

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace farlet::vm {

// Speaks QMP over a connected stream socket. One command at a time; any thread may ask. Whoever
// watches the socket calls OnReadable when there is something to read: nothing is left lying there
// while nobody asks, since QEMU would queue its events without end.
class QmpClient {
 public:
  using EventHandler = std::function<void(const QmpEvent& event)>;

  using EventFilter = std::function<bool(const QmpEvent& event)>;

  // `on_event` runs on the thread that calls OnReadable and must not call Execute.
  QmpClient(UniqueFd socket, EventHandler on_event);

  int fd() const { return socket_.get(); }

  // Waits for the greeting and leaves negotiation mode.
  Status Negotiate(std::chrono::milliseconds timeout);

  // The command's result. kDeadlineExceeded leaves the client usable: a late answer is dropped.
  // kUnavailable when QEMU is gone. `passed_fd`, if any, travels with the command (add-fd).
  Result<nlohmann::json> Execute(std::string_view command,
                                 const nlohmann::json& arguments,
                                 std::chrono::milliseconds timeout,
                                 int passed_fd = -1);

  // Expect an event, cause it, then wait for it: the first that matches since Expect is kept.
  void Expect(EventFilter matches);
  Result<QmpEvent> AwaitExpected(std::chrono::milliseconds timeout);

  // Reads what is there. False at the end: QEMU is gone, or it sent what no QMP server sends.
  bool OnReadable();

 private:
  using Deadline = std::chrono::steady_clock::time_point;

  Status Send(std::string_view line, int passed_fd, Deadline deadline);
  Status TakeLines();
  Status OnLine(std::string_view line);
  void OnEvent(QmpEvent event);
  void Fail(Error error);

  const UniqueFd socket_;
  const EventHandler on_event_;
  std::string input_;  // only touched by OnReadable, as is `ended_`
  bool ended_ = false;

  std::mutex call_mutex_;  // held over one command
  uint64_t last_id_ = 0;   // guarded by call_mutex_

  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::optional<QmpGreeting> greeting_;
  uint64_t awaited_id_ = 0;
  std::optional<Result<nlohmann::json>> reply_;
  std::optional<Error> failure_;
  EventFilter expected_;
  std::optional<QmpEvent> event_;
};

}  // namespace farlet::vm
