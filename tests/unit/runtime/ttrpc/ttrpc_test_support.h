#pragma once

#include "proto/ttrpc/ttrpc.pb.h"
#include "runtime/base/fd.h"
#include "runtime/ttrpc/client.h"
#include "runtime/ttrpc/frame.h"
#include "runtime/ttrpc/server.h"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <cstdlib>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace farlet::ttrpc {

// No test waits this long unless it fails.
inline constexpr std::chrono::seconds kPatience{30};

// An io_context on a thread of its own. Declared before servers and clients, and after what their
// hooks use.
class IoThread {
 public:
  ~IoThread() {
    context_.stop();
    thread_.join();
  }

  boost::asio::io_context& context() { return context_; }

 private:
  boost::asio::io_context context_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{
      context_.get_executor()};
  std::thread thread_{[this] { context_.run(); }};
};

inline std::pair<UniqueFd, UniqueFd> SocketPair(int type = SOCK_STREAM) {
  int fds[2] = {-1, -1};
  EXPECT_EQ(::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds), 0);
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

inline std::string MakeFrame(uint32_t stream,
                             uint8_t type,
                             std::string_view payload,
                             uint8_t flags = 0) {
  std::string frame(kHeaderBytes, '\0');
  WriteHeader(frame.data(), static_cast<uint32_t>(payload.size()), stream, type);
  frame[9] = static_cast<char>(flags);
  return frame.append(payload);
}

inline std::string RequestFrame(uint32_t stream,
                                std::string_view method,
                                std::string_view payload = {},
                                std::chrono::nanoseconds timeout = {}) {
  wire::Request request;
  request.set_service("test.Service");
  request.set_method(std::string(method));
  request.set_payload(std::string(payload));
  request.set_timeout_nano(timeout.count());
  return MakeFrame(stream, kTypeRequest, request.SerializeAsString());
}

inline std::string ResponseFrame(uint32_t stream, std::string_view payload) {
  wire::Response response;
  response.set_payload(std::string(payload));
  return MakeFrame(stream, kTypeResponse, response.SerializeAsString());
}

// The other side of a connection, byte by byte as a test wants it.
class RawPeer {
 public:
  explicit RawPeer(UniqueFd fd) : fd_(std::move(fd)) {
    const timeval limit{.tv_sec = kPatience.count(), .tv_usec = 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
  }

  // False when the other side is gone.
  bool Write(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t count = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count <= 0) {
        return false;
      }
      bytes.remove_prefix(static_cast<size_t>(count));
    }
    return true;
  }

  // Writes `bytes` again and again until the other side takes no more, for a while at least.
  // Returns how often it was written whole; the rest of the last one is returned, too.
  std::pair<int, std::string> WriteUntilStuck(const std::function<std::string(int)>& make) {
    for (int count = 0;; ++count) {
      const std::string bytes = make(count);
      std::string_view rest = bytes;
      while (!rest.empty()) {
        pollfd writable{.fd = fd_.get(), .events = POLLOUT, .revents = 0};
        if (::poll(&writable, 1, 300) == 0) {
          return {count, std::string(rest)};
        }
        const ssize_t sent =
            ::send(fd_.get(), rest.data(), rest.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN) {
          return {count, std::string()};
        }
        rest.remove_prefix(sent > 0 ? static_cast<size_t>(sent) : 0);
      }
    }
  }

  // Nothing: the connection has ended.
  std::optional<Frame> Read() {
    while (true) {
      std::string_view rest = input_;
      auto frame = decoder_.Take(rest);
      EXPECT_TRUE(frame);
      input_ = std::string(rest);
      if (!frame || *frame) {
        return frame ? std::move(*frame) : std::nullopt;
      }
      std::string buffer(65536, '\0');
      const ssize_t count = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
      EXPECT_FALSE(count < 0 && errno == EAGAIN) << "nothing came";
      if (count <= 0) {
        return std::nullopt;
      }
      input_ = buffer.substr(0, static_cast<size_t>(count));
    }
  }

  // The answer's payload, or "error CODE MESSAGE", or "end".
  std::string ReadAnswer(uint32_t stream) {
    const auto frame = Read();
    if (!frame) {
      return "end";
    }
    EXPECT_EQ(frame->type, kTypeResponse);
    EXPECT_EQ(frame->stream, stream);
    wire::Response response;
    EXPECT_TRUE(response.ParseFromString(frame->payload));
    if (response.status().code() != 0) {
      return "error " + std::to_string(response.status().code()) + " " +
             response.status().message();
    }
    return response.payload();
  }

  wire::Request ReadRequest(uint32_t stream) {
    wire::Request request;
    const auto frame = Read();
    EXPECT_TRUE(frame);
    if (frame) {
      EXPECT_EQ(frame->type, kTypeRequest);
      EXPECT_EQ(frame->flags, 0);
      EXPECT_EQ(frame->stream, stream);
      EXPECT_TRUE(request.ParseFromString(frame->payload));
    }
    return request;
  }

  void ShutdownWrites() { ::shutdown(fd_.get(), SHUT_WR); }

  int fd() const { return fd_.get(); }

  void Close() { fd_.Close(); }

 private:
  UniqueFd fd_;
  FrameDecoder decoder_{64u << 20};
  std::string input_;
};

// A value that another thread brings.
template <class T>
class Awaited {
 public:
  // Copies share the value. Setting it twice is a failure.
  void Set(T value) const {
    try {
      promise_->set_value(std::move(value));
    } catch (const std::future_error&) {
      ADD_FAILURE() << "set twice";
    }
  }

  T Get() {
    if (future_.wait_for(kPatience) != std::future_status::ready) {
      ADD_FAILURE() << "nothing came";
      std::abort();
    }
    return future_.get();
  }

 private:
  std::shared_ptr<std::promise<T>> promise_ = std::make_shared<std::promise<T>>();
  std::shared_future<T> future_ = promise_->get_future().share();
};

}  // namespace farlet::ttrpc
