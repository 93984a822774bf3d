#pragma once

#include "runtime/base/fd.h"
#include "runtime/base/result.h"
#include "runtime/shim/stdio/names.h"

// g++ 12 with Boost 1.74 needs <utility> before asio.
#include <boost/asio/io_context.hpp>

#include <functional>
#include <memory>
#include <string>
#include <utility>

namespace farlet::shim {

// Where a process's output goes. I/O thread only.
class Sink {
 public:
  virtual ~Sink() = default;
  // Calls `done` once all bytes are taken, or with the error; one write at a time.
  virtual void Write(std::string data, StatusCallback done) = 0;
  // Readers get their end of file. A write under way is dropped; its `done` is called with an
  // error.
  virtual void Close() = 0;
};

// A FIFO is opened for reading too, so that a restart of containerd, its only other reader, neither
// breaks the pipe nor ends it. Opening never blocks.
// Not for a logger, which takes two streams.
Result<std::shared_ptr<Sink>> OpenSink(boost::asio::io_context& io, const StreamTarget& target);

// Into a pipe that somebody else reads.
Result<std::shared_ptr<Sink>> MakePipeSink(boost::asio::io_context& io, UniqueFd writer);

}  // namespace farlet::shim
