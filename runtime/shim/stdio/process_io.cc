#include "runtime/shim/stdio/process_io.h"

#include "runtime/base/log.h"
#include "runtime/shim/stdio/logger.h"

#include <algorithm>
#include <utility>

namespace farlet::shim {
namespace asio = boost::asio;

namespace {

// stdout's name says what becomes of both when it names a logger.
Result<OutputSinks> OpenOutputs(asio::io_context& io, const StdioNames& names) {
  FARLET_ASSIGN(const StreamTarget out, Annotate(ParseStreamName(names.out), "stdout"));
  if (out.kind == StreamTarget::Kind::kLogger) {
    return StartLogger(io, out, names);
  }
  OutputSinks sinks;
  FARLET_ASSIGN(sinks.out, Annotate(OpenSink(io, out), "stdout"));
  FARLET_ASSIGN(const StreamTarget err,
                Annotate(ParseStreamName(names.terminal ? "" : names.err), "stderr"));
  FARLET_ASSIGN(sinks.err, Annotate(OpenSink(io, err), "stderr"));
  return sinks;
}

}  // namespace

ProcessIo::ProcessIo(asio::io_context& io, GuestStreams streams, Patience patience)
    : timer_(io), streams_(std::move(streams)), patience_(patience) {}

Result<std::shared_ptr<ProcessIo>> ProcessIo::Open(asio::io_context& io,
                                                   const StdioNames& names,
                                                   GuestStreams streams) {
  return Open(io, names, std::move(streams), Patience());
}

Result<std::shared_ptr<ProcessIo>> ProcessIo::Open(asio::io_context& io,
                                                   const StdioNames& names,
                                                   GuestStreams streams,
                                                   Patience patience) {
  auto process = std::make_shared<ProcessIo>(io, streams, patience);
  FARLET_ASSIGN(const StreamTarget in, Annotate(ParseStreamName(names.in), "stdin"));
  if (in.kind != StreamTarget::Kind::kNone) {
    FARLET_ASSIGN(process->in_, Annotate(InputPump::Open(io, in, streams), "stdin"));
  }
  FARLET_ASSIGN(OutputSinks sinks, OpenOutputs(io, names));
  process->out_.push_back(
      std::make_shared<OutputPump>(OutputStream::kOut, streams, std::move(sinks.out)));
  if (names.terminal) {
    sinks.err->Close();
  } else {
    process->out_.push_back(
        std::make_shared<OutputPump>(OutputStream::kErr, streams, std::move(sinks.err)));
  }
  return process;
}

void ProcessIo::Start() {
  for (const auto& pump : out_) {
    pump->Start([weak = weak_from_this()] {
      if (const auto self = weak.lock()) {
        self->OnPumpEnd();
      }
    });
  }
  if (in_) {
    in_->Start();
    return;
  }
  // Without a name the input is empty, not open for ever.
  streams_.close_input([](const Status& /*closed*/) {});
}

void ProcessIo::CloseInput() {
  if (in_) {
    in_->FinishInput();
  }
}

void ProcessIo::WhenCopied(std::function<void()> done) {
  copied_ = std::move(done);
  if (AllEnded()) {
    TellCopied();
    return;
  }
  Watch(Copied(), std::chrono::milliseconds(0));
}

void ProcessIo::Close() {
  if (in_) {
    in_->Close();
  }
  for (const auto& pump : out_) {
    pump->Close();
  }
  timer_.cancel();
  TellCopied();
}

bool ProcessIo::AllEnded() const {
  return std::all_of(out_.begin(), out_.end(), [](const auto& pump) { return pump->ended(); });
}

uint64_t ProcessIo::Copied() const {
  uint64_t sum = 0;
  for (const auto& pump : out_) {
    sum += pump->copied();
  }
  return sum;
}

void ProcessIo::OnPumpEnd() {
  if (copied_ && AllEnded()) {
    timer_.cancel();
    TellCopied();
  }
}

void ProcessIo::Watch(uint64_t copied_before, std::chrono::milliseconds waited) {
  timer_.expires_after(patience_.quiet);
  timer_.async_wait(
      [self = shared_from_this(), copied_before, waited](const boost::system::error_code& error) {
        if (error || !self->copied_) {
          return;
        }
        const uint64_t copied = self->Copied();
        const bool writing = std::any_of(self->out_.begin(), self->out_.end(),
                                         [](const auto& pump) { return pump->writing(); });
        const bool moving = copied != copied_before;
        const auto total = moving ? std::chrono::milliseconds(0) : waited + self->patience_.quiet;
        if (moving || (writing && total < self->patience_.stuck)) {
          self->Watch(copied, total);
          return;
        }
        if (writing) {
          log::Warning("nobody reads a process's output; its exit is told without waiting for it");
        }
        self->TellCopied();
      });
}

void ProcessIo::TellCopied() {
  if (const auto copied = std::exchange(copied_, nullptr)) {
    copied();
  }
}

}  // namespace farlet::shim
