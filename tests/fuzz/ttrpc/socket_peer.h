#pragma once

#include "runtime/base/fd.h"
#include "runtime/ttrpc/frame.h"
#include "tests/fuzz/fuzz.h"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <google/protobuf/stubs/logging.h>

#include <sys/socket.h>

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace farlet::ttrpc {

// One end of a socket pair, and the io_context of the other, all on one thread.
class SocketPeer {
 public:
  SocketPeer() {
    google::protobuf::SetLogHandler(nullptr);
    std::array<int, 2> fds{};
    FUZZ_CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds.data()) ==
               0);
    fd_ = UniqueFd(fds[0]);
    other_ = UniqueFd(fds[1]);
  }

  boost::asio::io_context& context() { return context_; }

  UniqueFd TakeOther() { return std::move(other_); }

  void Poll() { context_.poll(); }

  // What the other side does not take is lost, which it has to survive, too.
  void Send(std::string_view bytes) {
    (void)::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }

  std::optional<Frame> Receive() {
    while (true) {
      std::string_view rest = input_;
      auto frame = decoder_.Take(rest);
      FUZZ_CHECK(frame);
      input_ = std::string(rest);
      if (*frame) {
        return std::move(*frame);
      }
      std::array<char, 16384> buffer;
      const ssize_t count = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
      if (count <= 0) {
        return std::nullopt;
      }
      input_.assign(buffer.data(), static_cast<size_t>(count));
    }
  }

  void End() { ::shutdown(fd_.get(), SHUT_WR); }

 private:
  boost::asio::io_context context_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{
      context_.get_executor()};
  UniqueFd fd_;
  UniqueFd other_;
  FrameDecoder decoder_{1u << 20};
  std::string input_;
};

}  // namespace farlet::ttrpc
