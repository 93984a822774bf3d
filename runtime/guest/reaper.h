#pragma once

#include "runtime/base/result.h"

#include <boost/asio/posix/stream_descriptor.hpp>

#include <sys/types.h>

#include <functional>
#include <unordered_map>

namespace farlet::guest {

// Reaps every child, adopted ones too, and tells who waits for one. A child that is watched in the
// same turn of the loop that started it cannot end unseen.
class Reaper {
 public:
  // `status` as wait(2) has it.
  using Ended = std::function<void(int status)>;

  explicit Reaper(boost::asio::io_context& context) : signals_(context) {}

  // Blocks SIGCHLD for the process and takes it from there.
  Status Start();

  void Watch(pid_t pid, Ended ended);

 private:
  void Wait();
  void Reap();

  boost::asio::posix::stream_descriptor signals_;
  std::unordered_map<pid_t, Ended> watched_;
};

}  // namespace farlet::guest
