#include "runtime/ttrpc/listener.h"

#include <sys/socket.h>

#include <cerrno>
#include <utility>

namespace farlet::ttrpc {
namespace {

constexpr int kTurn = 16;
constexpr std::chrono::milliseconds kPause{100};

}  // namespace

Listener::Listener(asio::io_context& context, UniqueFd fd, ListenOptions options, Hooks hooks)
    : options_(options),
      hooks_(std::move(hooks)),
      fd_(std::move(fd)),
      stream_(context),
      pause_(context) {}

void Listener::Start() {
  if (closed_) {
    return;
  }
  ErrorCode error;
  stream_.assign(fd_.get(), error);
  if (!error) {
    (void)fd_.Release();
    stream_.native_non_blocking(true, error);
  }
  if (error) {
    hooks_.failed(ErrnoError(error.value(), "listen"));
    return;
  }
  Wait();
}

void Listener::Close() {
  closed_ = true;
  ErrorCode ignored;
  stream_.close(ignored);
  pause_.cancel();
}

void Listener::Wait() {
  stream_.async_wait(Stream::wait_read, [self = shared_from_this()](const ErrorCode& error) {
    if (self->closed_) {
      return;
    }
    if (error) {
      self->hooks_.failed(ErrnoError(error.value(), "wait for connections"));
      return;
    }
    self->Accept();
  });
}

void Listener::Accept() {
  for (int i = 0; i < kTurn && !closed_; ++i) {
    UniqueFd fd(::accept4(stream_.native_handle(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (fd.valid()) {
      failing_ = false;
      if (const Status checked = CheckPeer(fd.get()); !checked) {
        hooks_.failed(checked.error());
      } else {
        hooks_.accepted(std::move(fd));
      }
    } else if (errno == EAGAIN) {
      break;
    } else if (errno != EINTR && errno != ECONNABORTED) {
      if (!std::exchange(failing_, true)) {
        hooks_.failed(ErrnoError(errno, "accept a connection"));
      }
      Pause();
      return;
    }
  }
  if (!closed_) {
    Wait();
  }
}

void Listener::Pause() {
  pause_.expires_after(kPause);
  pause_.async_wait([self = shared_from_this()](const ErrorCode&) {
    if (!self->closed_) {
      self->Accept();
    }
  });
}

Status Listener::CheckPeer(int fd) const {
  if (!options_.peer_uid) {
    return {};
  }
  ucred peer{};
  socklen_t size = sizeof(peer);
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    return ErrnoError(errno, "ask who connects");
  }
  if (peer.uid != *options_.peer_uid) {
    return MakeError(Code::kPermissionDenied, "a connection of user " + std::to_string(peer.uid) +
                                                  ", allowed is user " +
                                                  std::to_string(*options_.peer_uid));
  }
  return {};
}

}  // namespace farlet::ttrpc
