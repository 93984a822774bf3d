#include "runtime/guest/tcp.h"

#include <boost/asio/io_context.hpp>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace farlet::guest {
namespace {

constexpr size_t kMaxConnections = 64;

// A socket that connects, or has connected, to the loopback address.
Result<UniqueFd> StartConnect(uint32_t port, bool v6) {
  UniqueFd socket(::socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket.valid()) {
    return ErrnoError(errno, "create a socket");
  }
  sockaddr_storage address{};
  socklen_t size = 0;
  if (v6) {
    sockaddr_in6 six{};
    six.sin6_family = AF_INET6;
    six.sin6_port = ::htons(static_cast<uint16_t>(port));
    six.sin6_addr = in6addr_loopback;
    std::memcpy(&address, &six, size = sizeof six);
  } else {
    sockaddr_in four{};
    four.sin_family = AF_INET;
    four.sin_port = ::htons(static_cast<uint16_t>(port));
    four.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
    std::memcpy(&address, &four, size = sizeof four);
  }
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0 &&
      errno != EINPROGRESS) {
    return ErrnoError(errno, "connect to port " + std::to_string(port));
  }
  return socket;
}

}  // namespace

void TcpConnections::Open(uint32_t port, const std::string& address, Callback<uint64_t> done) {
  if (port == 0 || port > 65535) {
    done(InvalidArgument("connect: port " + std::to_string(port) + " is not in 1..65535"));
    return;
  }
  if (!address.empty() && address != "127.0.0.1" && address != "::1") {
    done(InvalidArgument("connect: the address must be 127.0.0.1 or ::1"));
    return;
  }
  if (open_.size() + connecting_ >= kMaxConnections) {
    done(MakeError(Code::kResourceExhausted, "connect: too many connections"));
    return;
  }
  if (!address.empty()) {
    Connect(port, address == "::1", std::move(done));
    return;
  }
  Connect(port, false, [this, port, done = std::move(done)](Result<uint64_t> first) {
    if (first) {
      done(std::move(first));
      return;
    }
    Connect(port, true, [done, first = std::move(first)](Result<uint64_t> second) {
      // The first error is the one that a user of IPv4 understands.
      done(second ? std::move(second) : first);
    });
  });
}

void TcpConnections::Connect(uint32_t port, bool v6, Callback<uint64_t> done) {
  auto started = StartConnect(port, v6);
  if (!started) {
    done(std::move(started).error());
    return;
  }
  ++connecting_;
  const int fd = started->Release();
  const auto waiting = std::make_shared<boost::asio::posix::stream_descriptor>(context_, fd);
  waiting->async_wait(
      boost::asio::posix::stream_descriptor::wait_write,
      [this, waiting, port, done = std::move(done)](const boost::system::error_code&) {
        --connecting_;
        UniqueFd socket(waiting->release());
        int problem = 0;
        socklen_t size = sizeof problem;
        if (::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &problem, &size) != 0) {
          problem = errno;
        }
        if (problem != 0) {
          done(ErrnoError(problem, "connect to port " + std::to_string(port)));
          return;
        }
        done(Add(std::move(socket)));
      });
}

Result<uint64_t> TcpConnections::Add(UniqueFd socket) {
  UniqueFd copy(::fcntl(socket.get(), F_DUPFD_CLOEXEC, 0));
  if (!copy.valid()) {
    return ErrnoError(errno, "duplicate a descriptor");
  }
  const uint64_t id = ++last_;
  open_[id] = {std::make_shared<OutputStream>(context_, std::move(socket)),
               std::make_shared<InputStream>(context_, std::move(copy))};
  return id;
}

Result<std::shared_ptr<OutputStream>> TcpConnections::Reader(uint64_t id) const {
  const auto found = open_.find(id);
  if (found == open_.end()) {
    return NotFound("there is no connection " + std::to_string(id));
  }
  return found->second.reader;
}

Result<std::shared_ptr<InputStream>> TcpConnections::Writer(uint64_t id) const {
  const auto found = open_.find(id);
  if (found == open_.end()) {
    return NotFound("there is no connection " + std::to_string(id));
  }
  return found->second.writer;
}

void TcpConnections::Close(uint64_t id, bool half) {
  const auto found = open_.find(id);
  if (found == open_.end()) {
    return;
  }
  if (half) {
    found->second.writer->CloseWhenWritten([](int fd) { ::shutdown(fd, SHUT_WR); });
    return;
  }
  const Connection connection = std::move(found->second);
  open_.erase(found);
  connection.writer->Close();
  connection.reader->Close();
}

}  // namespace farlet::guest
