#pragma once

#include "runtime/base/result.h"

#include <boost/asio/posix/stream_descriptor.hpp>

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

namespace farlet::ttrpc {
class Cancellation;
}

namespace farlet::guest {

// Files whose change the kernel tells: memory.events of the containers.
class FileWatch {
 public:
  explicit FileWatch(boost::asio::io_context& context) : inotify_(context) {}

  Status Start();

  // Errors: kNotFound when there is no such file.
  Result<int> Add(const std::string& path, std::function<void()> changed);
  void Remove(int watch);

 private:
  void Wait();
  void Read();

  boost::asio::posix::stream_descriptor inotify_;
  std::unordered_map<int, std::function<void()>> watches_;
};

// What NextEvents tells: ids of containers of which something was killed for lack of memory.
class OomQueue {
 public:
  using Taker = Callback<std::vector<std::string>>;

  void Push(std::string container_id);
  // An earlier taker that still waits ends with kCancelled.
  void Take(const ttrpc::Cancellation& cancellation, Taker taker);

 private:
  void Deliver();

  std::deque<std::string> waiting_;
  Taker taker_;
  uint64_t turn_ = 0;
};

}  // namespace farlet::guest
