#pragma once

#include "runtime/shim/stdio/guest_streams.h"
#include "runtime/shim/stdio/names.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include <array>
#include <memory>
#include <string>
#include <utility>

namespace farlet::shim {

// Copies a FIFO to the process's input. When the FIFO's last writer is gone, or after
// FinishInput(), the process's input is closed. I/O thread only; keeps itself alive.
class InputPump final : public std::enable_shared_from_this<InputPump> {
 public:
  // Opening never blocks: a writer may come later.
  static Result<std::shared_ptr<InputPump>> Open(boost::asio::io_context& io,
                                                 const StreamTarget& target,
                                                 GuestStreams streams);
  InputPump(boost::asio::io_context& io, int fifo, GuestStreams streams);

  void Start();
  // No more input comes: what is in the FIFO is still copied, then the input is closed.
  void FinishInput();
  // Stops at once; the process's input is not closed.
  void Close();

 private:
  void WaitForInput();
  void ReadInput();
  void Send(std::string data);
  void EndInput();

  boost::asio::posix::stream_descriptor fifo_;
  const GuestStreams streams_;
  bool started_ = false;
  bool finishing_ = false;
  bool sending_ = false;
  bool ended_ = false;
  std::array<char, 16384> buffer_;
};

}  // namespace farlet::shim
