#pragma once

#include "runtime/shim/stdio/guest_streams.h"
#include "runtime/shim/stdio/sink.h"

#include <cstdint>
#include <functional>
#include <memory>

namespace farlet::shim {

// Copies one output stream from the guest to its sink until either ends. One chunk at a time, so a
// slow reader slows the process down, as a pipe does. I/O thread only; keeps itself alive.
class OutputPump final : public std::enable_shared_from_this<OutputPump> {
 public:
  OutputPump(OutputStream stream, GuestStreams streams, std::shared_ptr<Sink> sink);

  // `ended` is called once, when the stream has ended and the sink is closed.
  void Start(std::function<void()> ended);
  void Close();

  bool ended() const { return ended_; }

  // A chunk is being written: its reader is behind.
  bool writing() const { return writing_; }

  uint64_t copied() const { return copied_; }

 private:
  void Read();
  void OnChunk(Result<OutputChunk> chunk);
  void End();

  const OutputStream stream_;
  const GuestStreams streams_;
  const std::shared_ptr<Sink> sink_;
  std::function<void()> on_end_;
  bool ended_ = false;
  bool writing_ = false;
  bool sink_broken_ = false;  // the rest is read and dropped, so that the process does not block
  uint64_t copied_ = 0;
};

}  // namespace farlet::shim
