#include "runtime/ttrpc/connection.h"

#include <boost/asio/post.hpp>

#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace farlet::ttrpc {
namespace {

constexpr size_t kChunk = 64u << 10;
// After this much others get their turn on the I/O thread.
constexpr size_t kTurn = 256u << 10;

Error FromAsio(const ErrorCode& error, std::string_view what) {
  return ErrnoError(error.value(), what);
}

// A socket must not raise SIGPIPE; a device knows no send().
ssize_t Write(int fd, std::string_view bytes) {
  ssize_t count = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (count < 0 && errno == ENOTSOCK) {
    count = ::write(fd, bytes.data(), bytes.size());
  }
  return count;
}

}  // namespace

Connection::Connection(asio::io_context& context, UniqueFd fd, const Limits& limits)
    : context_(context),
      limits_(limits),
      fd_(std::move(fd)),
      stream_(context),
      decoder_(limits.max_received) {}

void Connection::Start() {
  if (ended_) {
    return;
  }
  ErrorCode error;
  stream_.assign(fd_.get(), error);
  if (error) {
    End(FromAsio(error, "use descriptor " + std::to_string(fd_.get())));
    return;
  }
  (void)fd_.Release();
  stream_.native_non_blocking(true, error);
  if (error) {
    End(FromAsio(error, "make the connection non-blocking"));
    return;
  }
  WaitToRead();
}

void Connection::End(const Status& end) {
  if (ended_) {
    return;
  }
  ended_ = true;
  const auto self = shared_from_this();  // OnEnd() may let go of the last other reference
  ErrorCode ignored;
  change_.reset();
  stream_.close(ignored);
  fd_.Close();
  queue_.clear();
  queued_bytes_ = 0;
  undelivered_.clear();
  decoder_.Reset();
  OnEnd(end);
}

void Connection::WaitToRead() {
  if (ended_ || waiting_to_read_ || !WantsToRead()) {
    return;
  }
  waiting_to_read_ = true;
  auto go_on = [self = shared_from_this()](const ErrorCode& error) {
    self->waiting_to_read_ = false;
    if (self->ended_) {
      return;
    }
    if (error) {
      self->End(FromAsio(error, "wait for the other side"));
      return;
    }
    self->Read();
  };
  if (undelivered_.empty()) {
    stream_.async_wait(Stream::wait_read, std::move(go_on));
  } else {
    asio::post(context_, [go_on = std::move(go_on)] { go_on({}); });
  }
}

void Connection::Read() {
  reading_ = true;
  std::array<char, kChunk> buffer;
  bool more = true;
  if (const Status delivered = Deliver(std::exchange(undelivered_, {})); !delivered) {
    End(delivered);
  }
  for (size_t total = 0; more && total < kTurn && !ended_ && WantsToRead();) {
    const ssize_t count = ::read(stream_.native_handle(), buffer.data(), buffer.size());
    if (count > 0) {
      total += static_cast<size_t>(count);
      if (const Status delivered = Deliver({buffer.data(), static_cast<size_t>(count)});
          !delivered) {
        End(delivered);
      }
    } else if (count == 0) {
      reading_ = false;
      OnZeroRead();
      return;
    } else if (errno == EAGAIN) {
      more = false;
    } else if (errno != EINTR) {
      End(ErrnoError(errno, "read from the other side"));
    }
  }
  reading_ = false;
  WaitToRead();
}

Status Connection::Deliver(std::string_view bytes) {
  while (!ended_) {
    if (!WantsToRead()) {
      undelivered_ = bytes;
      break;
    }
    FARLET_ASSIGN(std::optional<Frame> frame, decoder_.Take(bytes));
    if (!frame) {
      break;
    }
    FARLET_TRY(OnFrame(std::move(*frame)));
  }
  return {};
}

void Connection::OnZeroRead() {
  if (!limits_.zero_read_is_end) {
    decoder_.Reset();
    queue_.clear();
    queued_bytes_ = 0;
    sent_ = 0;
    OnRestart();
    WaitForChange();
  } else if (decoder_.AtBoundary()) {
    End({});
  } else {
    End(Unavailable("the other side ended the connection within a frame"));
  }
}

void Connection::WaitForChange() {
  if (ended_ || waiting_for_change_) {
    return;
  }
  if (!change_) {
    UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
    epoll_event event{.events = EPOLLIN | EPOLLET, .data = {}};
    if (!epoll.valid() ||
        ::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, stream_.native_handle(), &event) != 0) {
      End(ErrnoError(errno, "watch the connection"));
      return;
    }
    change_.emplace(context_, epoll.Release());
  }
  waiting_for_change_ = true;
  change_->async_wait(Stream::wait_read, [self = shared_from_this()](const ErrorCode& error) {
    self->waiting_for_change_ = false;
    if (self->ended_) {
      return;
    }
    if (error) {
      self->End(FromAsio(error, "watch the connection"));
      return;
    }
    // Taken before the read, so that a change after it is not missed.
    epoll_event event{};
    (void)::epoll_wait(self->change_->native_handle(), &event, 1, 0);
    self->Read();
  });
}

void Connection::Send(uint32_t stream, std::string frame) {
  if (ended_ || write_failed_) {
    return;
  }
  queued_bytes_ += frame.size();
  queue_.push_back({stream, std::move(frame)});
  if (!waiting_to_write_) {
    Flush();
  }
}

void Connection::Unsend(uint32_t stream) {
  const auto first = queue_.begin() + (sent_ > 0 ? 1 : 0);
  const auto found = std::find_if(first, queue_.end(), [stream](const Outgoing& outgoing) {
    return outgoing.stream == stream;
  });
  if (found != queue_.end()) {
    queued_bytes_ -= found->bytes.size();
    queue_.erase(found);
  }
}

void Connection::Flush() {
  while (!queue_.empty()) {
    const std::string_view rest = std::string_view(queue_.front().bytes).substr(sent_);
    const ssize_t count = Write(stream_.native_handle(), rest);
    if (count <= 0) {
      if (count < 0 && errno == EINTR) {
        continue;
      }
      if (count == 0 || errno != EAGAIN) {
        OnWriteError(ErrnoError(count == 0 ? EIO : errno, "write to the other side"));
        return;
      }
      WaitToWrite();
      break;
    }
    sent_ += static_cast<size_t>(count);
    queued_bytes_ -= static_cast<size_t>(count);
    if (sent_ == queue_.front().bytes.size()) {
      queue_.pop_front();
      sent_ = 0;
    }
  }
  Resume();
}

void Connection::WaitToWrite() {
  waiting_to_write_ = true;
  stream_.async_wait(Stream::wait_write, [self = shared_from_this()](const ErrorCode&) {
    self->waiting_to_write_ = false;
    if (!self->ended_) {
      self->Flush();  // which finds any error
    }
  });
}

void Connection::Resume() {
  if (!reading_ && !waiting_for_change_) {
    WaitToRead();
  }
}

void Connection::OnWriteError(Error error) {
  // The other side may have answered before it went: what has come is delivered first.
  write_failed_ = true;
  queue_.clear();
  queued_bytes_ = 0;
  sent_ = 0;
  asio::post(context_, [self = shared_from_this(), error = std::move(error)] {
    if (!self->ended_) {
      self->Read();
    }
    self->End(error);
  });
}

}  // namespace farlet::ttrpc
