#include "runtime/shim/stdio/input_pump.h"

#include "runtime/base/fd.h"
#include "runtime/base/log.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <utility>

namespace farlet::shim {
namespace asio = boost::asio;

Result<std::shared_ptr<InputPump>> InputPump::Open(asio::io_context& io,
                                                   const StreamTarget& target,
                                                   GuestStreams streams) {
  if (target.kind != StreamTarget::Kind::kFifo) {
    return InvalidArgument("open " + target.path.string() + " as input: not a FIFO");
  }
  UniqueFd fifo(::open(target.path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (!fifo.valid()) {
    return ErrnoError(errno, "open " + target.path.string());
  }

  struct stat info {};

  if (::fstat(fifo.get(), &info) != 0 || !S_ISFIFO(info.st_mode)) {
    return InvalidArgument("open " + target.path.string() + ": not a FIFO");
  }
  return std::make_shared<InputPump>(io, fifo.Release(), std::move(streams));
}

InputPump::InputPump(asio::io_context& io, int fifo, GuestStreams streams)
    : fifo_(io, fifo), streams_(std::move(streams)) {}

void InputPump::Start() {
  if (!std::exchange(started_, true)) {
    WaitForInput();
  }
}

void InputPump::FinishInput() {
  finishing_ = true;
  if (!started_ || sending_ || ended_) {
    return;  // whoever starts, or the write under way, goes on with ReadInput()
  }
  boost::system::error_code ignored;
  fifo_.cancel(ignored);
  ReadInput();
}

void InputPump::Close() {
  ended_ = true;
  boost::system::error_code ignored;
  fifo_.close(ignored);
}

// Before the first writer a read would return 0 as it does after the last one; only poll can tell
// the two apart (pipe(7): no hang-up before there was a writer).
void InputPump::WaitForInput() {
  if (ended_) {
    return;
  }
  if (finishing_) {
    ReadInput();
    return;
  }
  fifo_.async_wait(asio::posix::stream_descriptor::wait_read,
                   [self = shared_from_this()](const boost::system::error_code& error) {
                     if (!error && !self->finishing_) {
                       self->ReadInput();
                     }
                   });
}

void InputPump::ReadInput() {
  if (ended_ || sending_) {
    return;
  }
  ssize_t count = 0;
  do {
    count = ::read(fifo_.native_handle(), buffer_.data(), buffer_.size());
  } while (count < 0 && errno == EINTR);
  if (count > 0) {
    Send(std::string(buffer_.data(), static_cast<size_t>(count)));
    return;
  }
  if (count < 0 && errno == EAGAIN && !finishing_) {
    WaitForInput();
    return;
  }
  EndInput();
}

void InputPump::Send(std::string data) {
  sending_ = true;
  std::string copy = data;
  streams_.write(std::move(copy), [self = shared_from_this(),
                                   data = std::move(data)](const Result<size_t>& written) {
    self->sending_ = false;
    if (self->ended_) {
      return;
    }
    if (!written) {
      // The process closed its input or is gone: nobody reads any more.
      log::Debug("input ends", {{"error", written.error()}});
      self->Close();
      return;
    }
    if (*written < data.size()) {
      self->Send(data.substr(*written));
      return;
    }
    self->finishing_ ? self->ReadInput() : self->WaitForInput();
  });
}

void InputPump::EndInput() {
  if (ended_) {
    return;
  }
  Close();
  streams_.close_input([self = shared_from_this()](const Status& closed) {
    if (!closed) {
      log::Debug("close the process's input", {{"error", closed.error()}});
    }
  });
}

}  // namespace farlet::shim
