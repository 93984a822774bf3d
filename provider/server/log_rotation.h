#pragma once

#include "runtime/base/clock.h"
#include "runtime/base/result.h"

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace farlet::server {

struct RunningLog {
  std::string container_id;
  std::string path;  // N.log, absolute
};

struct LogRotationOptions {
  int64_t max_bytes = 10 << 20;
  // In all: the current one, the last one as it is, older ones compressed. At least 2.
  int max_files = 5;
  std::chrono::milliseconds period{10'000};
  // How long the runtime may take to reopen a log.
  std::chrono::milliseconds reopen_timeout{150'000};
};

struct LogRotationHooks {
  // The logs of the containers that run now. Any thread calls back, once.
  std::function<void(Callback<std::vector<RunningLog>>)> running_logs;
  // CRI's ReopenContainerLog.
  std::function<void(const std::string& container_id, StatusCallback)> reopen;
};

// Keeps the logs of running containers small, as the kubelet does: a log that has reached the limit
// is renamed to N.log.20060102-150405 (UTC) and the runtime told to open a new one; at the next
// rotation it is compressed; the oldest ones are removed. When the runtime cannot reopen, the file
// gets its name back. What a crash left behind is put right by the next round: half-written
// archives are removed, and a container whose log has lost its name gets a new one.
//
// One thread of its own, of low priority, does all of it.
class LogRotation {
 public:
  // `clock` outlives it; the hooks may call back later than its end.
  LogRotation(LogRotationOptions options, LogRotationHooks hooks, const Clock& clock);
  // Ends the round that is running and waits for it.
  ~LogRotation();

  LogRotation(const LogRotation&) = delete;
  LogRotation& operator=(const LogRotation&) = delete;

  // Rotates every period. Call once at most.
  void Start();

  // One round, now, on this thread. Failures with single logs are logged and tried again in the
  // next round. For tests; not along with Start().
  void RunOnce();

 private:
  struct Waiter;

  void Run();
  bool stopping();

  Status RotateIfLarge(const RunningLog& log);
  Status Rotate(const RunningLog& log);
  Status MakeRoom(const std::string& path);
  Status Reopen(const std::string& container_id);
  // Waits for `start`'s callback, for the time-out, or for the end.
  template <class T>
  Result<T> Await(std::chrono::milliseconds timeout, const std::function<void(Callback<T>)>& start);

  const LogRotationOptions options_;
  const LogRotationHooks hooks_;
  const Clock& clock_;
  const std::shared_ptr<Waiter> waiter_;
  std::thread thread_;
};

}  // namespace farlet::server
