#pragma once

#include "runtime/base/fd.h"
#include "runtime/base/result.h"

#include <boost/asio/posix/stream_descriptor.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

namespace farlet::ttrpc {
class Cancellation;
}

namespace farlet::guest {

constexpr size_t kMaxChunk = 64u << 10;

// Pipes, terminals and sockets of the pod, read and written on demand: what nobody has asked for
// stays in the kernel's buffer and holds up the writer. All on the agent's thread.

struct Chunk {
  std::string data;
  bool eof = false;
};

// The end that the agent reads.
class OutputStream : public std::enable_shared_from_this<OutputStream> {
 public:
  OutputStream(boost::asio::io_context& context, UniqueFd fd);
  ~OutputStream();

  OutputStream(const OutputStream&) = delete;
  OutputStream& operator=(const OutputStream&) = delete;

  // At least one byte, or the end. An earlier Read that still waits ends with kCancelled; a call
  // that nobody waits for any more reads nothing. The more streams there are, the smaller the
  // chunks: what a flood on all of them puts on its way to the shim at a time has a bound.
  void Read(size_t max, const ttrpc::Cancellation& cancellation, Callback<Chunk> done);

  // A Read that waits gets the end.
  void Close();

 private:
  void Continue();
  void Finish(Result<Chunk> chunk);

  boost::asio::posix::stream_descriptor fd_;
  size_t max_ = 0;
  // Counts Reads, so that what belongs to an earlier one does not touch a later one.
  uint64_t turn_ = 0;
  Callback<Chunk> done_;
};

// The end that the agent writes.
class InputStream : public std::enable_shared_from_this<InputStream> {
 public:
  InputStream(boost::asio::io_context& context, UniqueFd fd);

  // Answers when all is written. Errors: kFailedPrecondition while another Write is under way, or
  // when the reader is gone.
  void Write(std::string data, StatusCallback done);

  // After what is still to be written. `finish` (may be null) runs before the descriptor is closed.
  void CloseWhenWritten(std::function<void(int fd)> finish = {});

  // At once; a Write under way fails.
  void Close();

 private:
  void Continue();
  void Finish(Status status);

  boost::asio::posix::stream_descriptor fd_;
  std::string data_;
  size_t written_ = 0;
  bool closing_ = false;
  std::function<void(int fd)> finish_;
  StatusCallback done_;
};

}  // namespace farlet::guest
