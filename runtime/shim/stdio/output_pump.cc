#include "runtime/shim/stdio/output_pump.h"

#include "runtime/base/log.h"

#include <utility>

namespace farlet::shim {

OutputPump::OutputPump(OutputStream stream, GuestStreams streams, std::shared_ptr<Sink> sink)
    : stream_(stream), streams_(std::move(streams)), sink_(std::move(sink)) {}

void OutputPump::Start(std::function<void()> ended) {
  on_end_ = std::move(ended);
  Read();
}

void OutputPump::Close() {
  End();
}

void OutputPump::Read() {
  if (ended_) {
    return;
  }
  streams_.read(stream_, [self = shared_from_this()](Result<OutputChunk> chunk) {
    self->OnChunk(std::move(chunk));
  });
}

void OutputPump::OnChunk(Result<OutputChunk> chunk) {
  if (ended_) {
    return;
  }
  if (!chunk) {
    log::Info("output ends early", {{"error", chunk.error()}});
    End();
    return;
  }
  const bool last = chunk->eof;
  if (chunk->data.empty() || sink_broken_) {
    last ? End() : Read();
    return;
  }
  copied_ += chunk->data.size();
  writing_ = true;
  sink_->Write(std::move(chunk->data), [self = shared_from_this(), last](const Status& written) {
    self->writing_ = false;
    if (!written && !self->ended_) {
      log::Warning("output is dropped from here on", {{"error", written.error()}});
      self->sink_broken_ = true;
    }
    last ? self->End() : self->Read();
  });
}

void OutputPump::End() {
  if (std::exchange(ended_, true)) {
    return;
  }
  sink_->Close();
  if (const auto on_end = std::exchange(on_end_, nullptr)) {
    on_end();
  }
}

}  // namespace farlet::shim
