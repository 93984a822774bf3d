#pragma once

#include "runtime/shim/stdio/input_pump.h"
#include "runtime/shim/stdio/output_pump.h"

#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <vector>

namespace farlet::shim {

// All streams of one process. I/O thread only.
class ProcessIo final : public std::enable_shared_from_this<ProcessIo> {
 public:
  struct Patience {
    // After the exit a stream that says nothing for this long is held open by somebody else.
    std::chrono::milliseconds quiet{250};
    // How long a reader that does not read can hold back the exit.
    std::chrono::milliseconds stuck{10000};
  };

  // Opens what `names` says; nothing is copied yet.
  static Result<std::shared_ptr<ProcessIo>> Open(boost::asio::io_context& io,
                                                 const StdioNames& names,
                                                 GuestStreams streams,
                                                 Patience patience);
  static Result<std::shared_ptr<ProcessIo>> Open(boost::asio::io_context& io,
                                                 const StdioNames& names,
                                                 GuestStreams streams);
  ProcessIo(boost::asio::io_context& io, GuestStreams streams, Patience patience);

  void Start();
  // containerd's CloseIO.
  void CloseInput();
  // The process has ended: calls `done` once what it wrote has been handed on, that is at the end
  // of its output, or when the output only stays open because a process that it left behind holds
  // it.
  void WhenCopied(std::function<void()> done);
  // Everything at once; readers get their end of file. WhenCopied is answered.
  void Close();

 private:
  bool AllEnded() const;
  uint64_t Copied() const;
  void OnPumpEnd();
  void Watch(uint64_t copied_before, std::chrono::milliseconds waited);
  void TellCopied();

  boost::asio::steady_timer timer_;
  const GuestStreams streams_;
  const Patience patience_;
  std::shared_ptr<InputPump> in_;
  std::vector<std::shared_ptr<OutputPump>> out_;
  std::function<void()> copied_;
};

}  // namespace farlet::shim
