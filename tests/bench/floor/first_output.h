#pragma once

#include "runtime/base/result.h"

#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <thread>
#include <vector>

namespace farlet::bench {

// Tells when something is in a container's log file, to within a few milliseconds. Thread safe.
class FirstOutput {
 public:
  FirstOutput();
  ~FirstOutput();

  FirstOutput(const FirstOutput&) = delete;
  FirstOutput& operator=(const FirstOutput&) = delete;

  // `done` is called on a thread of its own; with kDeadlineExceeded when nothing comes in a minute.
  void Await(std::filesystem::path log, StatusCallback done);

 private:
  struct Awaited;

  void Run();

  std::mutex mutex_;  // guards all below but the thread
  std::condition_variable changed_;
  std::vector<Awaited> awaited_;
  bool ended_ = false;
  std::thread thread_;
};

}  // namespace farlet::bench
