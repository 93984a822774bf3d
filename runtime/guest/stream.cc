#include "runtime/guest/stream.h"

#include "runtime/ttrpc/types.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace farlet::guest {
namespace {

using Descriptor = boost::asio::posix::stream_descriptor;

// One for all streams: a chunk is copied out before the next read.
std::array<char, kMaxChunk> shared_buffer;

// Of all streams together, as long as each can have its least.
constexpr size_t kMaxUnderWay = 1u << 20;
constexpr size_t kLeastChunk = 4096;

size_t stream_count = 0;

size_t ChunkSize(size_t wanted) {
  const size_t share = std::max(kMaxUnderWay / std::max<size_t>(stream_count, 1), kLeastChunk);
  return std::min({wanted == 0 ? kMaxChunk : wanted, kMaxChunk, share});
}

void CloseDescriptor(Descriptor& fd) {
  boost::system::error_code ignored;
  fd.close(ignored);
}

}  // namespace

OutputStream::OutputStream(boost::asio::io_context& context, UniqueFd fd)
    : fd_(context, fd.Release()) {
  ++stream_count;
}

OutputStream::~OutputStream() {
  --stream_count;
}

void OutputStream::Read(size_t max, const ttrpc::Cancellation& cancellation, Callback<Chunk> done) {
  Finish(Cancelled("read output: another call took over"));
  ++turn_;
  max_ = ChunkSize(max);
  done_ = std::move(done);
  cancellation.OnCancel([weak = weak_from_this(), turn = turn_] {
    if (const auto self = weak.lock(); self != nullptr && self->turn_ == turn) {
      self->Finish(Cancelled("read output: nobody waits for it"));
    }
  });
  Continue();
}

void OutputStream::Continue() {
  if (!done_) {
    return;
  }
  if (!fd_.is_open()) {
    Finish(Chunk{.eof = true});
    return;
  }
  ssize_t count = -1;
  do {
    count = ::read(fd_.native_handle(), shared_buffer.data(), max_);
  } while (count < 0 && errno == EINTR);
  if (count > 0) {
    Finish(Chunk{.data = std::string(shared_buffer.data(), static_cast<size_t>(count))});
    return;
  }
  if (count < 0 && errno == EAGAIN) {
    fd_.async_wait(Descriptor::wait_read, [weak = weak_from_this(),
                                           turn = turn_](const boost::system::error_code& error) {
      if (const auto self = weak.lock(); self != nullptr && !error && self->turn_ == turn) {
        self->Continue();
      }
    });
    return;
  }
  // The end; a terminal says so by EIO, a connection that was reset by ECONNRESET.
  Close();
}

void OutputStream::Close() {
  CloseDescriptor(fd_);
  Finish(Chunk{.eof = true});
}

void OutputStream::Finish(Result<Chunk> chunk) {
  if (auto done = std::exchange(done_, nullptr)) {
    done(std::move(chunk));
  }
}

InputStream::InputStream(boost::asio::io_context& context, UniqueFd fd)
    : fd_(context, fd.Release()) {}

void InputStream::Write(std::string data, StatusCallback done) {
  if (done_ || closing_) {
    done(MakeError(Code::kFailedPrecondition,
                   closing_ ? "write input: it is closed" : "write input: one is under way"));
    return;
  }
  data_ = std::move(data);
  written_ = 0;
  done_ = std::move(done);
  Continue();
}

void InputStream::Continue() {
  while (done_ && written_ < data_.size()) {
    const ssize_t count = fd_.is_open() ? ::write(fd_.native_handle(), data_.data() + written_,
                                                  data_.size() - written_)
                                        : (errno = EPIPE, -1);
    if (count >= 0) {
      written_ += static_cast<size_t>(count);
      continue;
    }
    if (errno == EINTR) {
      continue;
    }
    if (errno == EAGAIN) {
      fd_.async_wait(Descriptor::wait_write,
                     [weak = weak_from_this()](const boost::system::error_code& error) {
                       if (const auto self = weak.lock(); self != nullptr && !error) {
                         self->Continue();
                       }
                     });
      return;
    }
    Finish(MakeError(Code::kFailedPrecondition, ErrnoError(errno, "write input").message));
    return;
  }
  Finish({});
}

void InputStream::CloseWhenWritten(std::function<void(int fd)> finish) {
  if (closing_ || !fd_.is_open()) {
    return;
  }
  closing_ = true;
  finish_ = std::move(finish);
  if (!done_) {
    Finish({});
  }
}

void InputStream::Close() {
  closing_ = true;
  Finish(MakeError(Code::kFailedPrecondition, "write input: it is closed"));
}

void InputStream::Finish(Status status) {
  const auto done = std::exchange(done_, nullptr);
  data_ = {};
  if (closing_ && fd_.is_open()) {
    if (finish_) {
      finish_(fd_.native_handle());
    }
    CloseDescriptor(fd_);
  }
  if (done) {
    done(std::move(status));
  }
}

}  // namespace farlet::guest
