#include "tests/unit/provider/server/streaming_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <utility>

namespace farlet::server::testing {

ServedConnection::~ServedConnection() {
  if (fd_ >= 0) {
    ::close(fd_);
  }
}

bool ServedConnection::Fill() {
  std::array<char, 65536> block{};
  const ssize_t size = ::recv(fd_, block.data(), block.size(), 0);
  if (size <= 0) {
    return false;
  }
  buffer_.append(block.data(), static_cast<size_t>(size));
  return true;
}

std::string ServedConnection::ReadHead() {
  while (buffer_.find("\r\n\r\n") == std::string::npos) {
    if (!Fill()) {
      return {};
    }
  }
  return ReadBytes(buffer_.find("\r\n\r\n") + 4);
}

std::string ServedConnection::ReadBytes(size_t size) {
  while (buffer_.size() < size && Fill()) {
  }
  std::string bytes = buffer_.substr(0, size);
  buffer_.erase(0, bytes.size());
  return bytes;
}

std::string ServedConnection::ReadToEnd() {
  while (Fill()) {
  }
  return std::exchange(buffer_, {});
}

bool ServedConnection::Send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) {
      return false;
    }
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

void ServedConnection::Reset() {
  const linger now{1, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  ::close(fd_);
  fd_ = -1;
}

StreamingServer::StreamingServer(std::function<void(ServedConnection&)> serve)
    : serve_(std::move(serve)), fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ::bind(fd_, reinterpret_cast<sockaddr*>(&address), size);
  ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
  ::listen(fd_, 128);
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] {
    while (true) {
      const int connection = ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
      if (connection < 0) {
        return;
      }
      const timeval timeout{5, 0};
      ::setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
      const std::lock_guard lock(mutex_);
      threads_.emplace_back([this, connection] {
        ServedConnection served(connection);
        serve_(served);
      });
    }
  });
}

StreamingServer::~StreamingServer() {
  ::shutdown(fd_, SHUT_RDWR);
  acceptor_.join();
  for (std::thread& thread : threads_) {
    thread.join();
  }
  ::close(fd_);
}

std::string StreamingServer::Url(std::string_view path) const {
  return "http://127.0.0.1:" + std::to_string(port_) + std::string(path);
}

}  // namespace farlet::server::testing
