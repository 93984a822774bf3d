#include "runtime/vm/files/message_stream.h"

#include "runtime/vm/files/file_server.h"

#include <fmt/format.h>

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>

namespace farlet::files {

MessageStream::MessageStream(int fd) : fd_(fd), buffer_(kMaxRequest) {}

Status MessageStream::Await(int error, short events, std::string_view what) const {
  if (error == EINTR) {
    return {};
  }
  pollfd watched{.fd = fd_, .events = events, .revents = 0};
  if (error != EAGAIN || (::poll(&watched, 1, -1) < 0 && errno != EINTR)) {
    return ErrnoError(error, what);
  }
  return {};
}

Result<bool> MessageStream::Fill() {
  if (begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  ssize_t count = 0;
  while ((count = ::recv(fd_, buffer_.data() + end_, buffer_.size() - end_, 0)) < 0) {
    const int error = errno;
    if (error == ECONNRESET) {
      return false;
    }
    FARLET_TRY(Await(error, POLLIN, "read from file server channel"));
  }
  end_ += static_cast<size_t>(count);
  return count > 0;
}

Result<Bytes> MessageStream::Next() {
  while (true) {
    const Bytes there(buffer_.data() + begin_, end_ - begin_);
    if (there.size() >= sizeof(fuse_in_header)) {
      fuse_in_header header{};
      std::memcpy(&header, there.data(), sizeof(header));
      if (header.len < sizeof(header) || header.len > buffer_.size()) {
        return MakeError(Code::kDataLoss,
                         fmt::format("file server: message with a length of {} bytes", header.len));
      }
      if (there.size() >= header.len) {
        begin_ += header.len;
        return there.subspan(0, header.len);
      }
    }
    FARLET_ASSIGN(const bool more, Fill());
    if (!more) {
      if (end_ > begin_) {
        return MakeError(Code::kDataLoss, "file server: the channel ended within a message");
      }
      return Bytes();
    }
  }
}

Status MessageStream::Send(Bytes message) {
  while (!message.empty()) {
    const ssize_t count = ::send(fd_, message.data(), message.size(), MSG_NOSIGNAL);
    const int error = count < 0 ? errno : EINTR;
    FARLET_TRY(Await(error, POLLOUT, "write to file server channel"));
    message = message.subspan(count < 0 ? 0 : static_cast<size_t>(count));
  }
  return {};
}

}  // namespace farlet::files
