#pragma once

#include "runtime/base/fd.h"
#include "runtime/ttrpc/frame.h"
#include "runtime/ttrpc/types.h"

// With Boost 1.74 and g++ 12 <utility> has to come before asio's headers.
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

// Internal.
namespace farlet::ttrpc {

namespace asio = boost::asio;
using Stream = asio::posix::stream_descriptor;
using ErrorCode = boost::system::error_code;

// One descriptor that carries frames: what server and client have in common. I/O thread only, but
// for the constructor. Lives until it ends, whoever else holds it.
//
//   Start() ─► reading, writing what is queued ─► OnEnd(), once: an error, the other side's end,
//   End()
//                 └──► OnRestart(): a read of 0 bytes that is no end; goes on
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(asio::io_context& context, UniqueFd fd, const Limits& limits);
  virtual ~Connection() = default;

  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void Start();
  // Closes at once; what is queued is lost. An orderly end has no error. Repeatable.
  void End(const Status& end);

  bool ended() const { return ended_; }

 protected:
  // An error ends the connection.
  virtual Status OnFrame(Frame frame) = 0;
  virtual void OnRestart() = 0;
  virtual void OnEnd(const Status& end) = 0;

  // Whether to read on. Asked again whenever something was written, and by Resume().
  virtual bool WantsToRead() const { return true; }

  // Writes what goes out at once, queues the rest.
  void Send(uint32_t stream, std::string frame);
  // Drops a queued frame of which nothing has gone out.
  void Unsend(uint32_t stream);
  // After a change of WantsToRead().
  void Resume();

  size_t queued_bytes() const { return queued_bytes_; }

  asio::io_context& context() { return context_; }

  const Limits& limits() const { return limits_; }

 private:
  struct Outgoing {
    uint32_t stream;
    std::string bytes;
  };

  void WaitToRead();
  // Reads until nothing is left, or enough for one turn.
  void Read();
  // Stops, and keeps what is left, when no more is wanted.
  Status Deliver(std::string_view bytes);
  void OnZeroRead();
  // After a read of 0 bytes the descriptor may stay "readable": waits until something changes.
  void WaitForChange();
  void Flush();
  void WaitToWrite();
  void OnWriteError(Error error);

  asio::io_context& context_;
  const Limits limits_;
  UniqueFd fd_;  // until Start()
  Stream stream_;
  std::optional<Stream> change_;  // an epoll of its own, edge-triggered on stream_
  FrameDecoder decoder_;
  std::string undelivered_;
  std::deque<Outgoing> queue_;
  size_t queued_bytes_ = 0;
  size_t sent_ = 0;  // of queue_.front()
  bool waiting_to_read_ = false;
  bool waiting_for_change_ = false;
  bool reading_ = false;
  bool waiting_to_write_ = false;
  bool write_failed_ = false;
  bool ended_ = false;
};

}  // namespace farlet::ttrpc
