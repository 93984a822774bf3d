#pragma once

// Internal: the asio side of the server. Heavy to compile; only the files that move bytes include
// it. With Boost 1.74 and g++ 12 <utility> has to come before asio's headers.
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_set>
#include <utility>

namespace farlet::server {

namespace asio = boost::asio;
using asio::ip::tcp;
using ErrorCode = boost::system::error_code;

// Something with open descriptors or timers; lives until its last operation has ended.
class Session {
 public:
  virtual ~Session() = default;

  // Ends it at once. I/O thread only; repeatable.
  virtual void Close() = 0;
};

// The io_context and whatever runs on it. Shared by all sessions, so that it outlives them. Work
// that arrives after Run() has ended is dropped, on the thread that brings it; nothing is open
// then.
class IoCore {
 public:
  asio::io_context& context() { return context_; }

  // Runs `work` on the I/O thread. Thread safe.
  void Post(std::function<void()> work);

  // Runs on the calling thread until Stop() has been called and every session has ended.
  void Run();

  // Closes all sessions. Thread safe.
  void Stop();

  // I/O thread only. A session that is added after Stop() is closed at once.
  void Add(Session* session);
  void Remove(Session* session);

 private:
  asio::io_context context_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_{context_.get_executor()};
  std::unordered_set<Session*> sessions_;  // I/O thread
  bool closing_ = false;                   // I/O thread
  std::mutex mutex_;                       // guards all below
  bool stopped_ = false;
  bool finished_ = false;
};

// Calls back once when it has not been set anew in time. I/O thread only.
class Deadline {
 public:
  // `expired` may refer to the owner of this object.
  Deadline(asio::io_context& context, std::function<void()> expired);
  ~Deadline();

  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

  void Set(std::chrono::milliseconds after);
  void Clear();

 private:
  struct State;

  static void Wait(const std::shared_ptr<State>& state);

  const std::shared_ptr<State> state_;
};

// A connection of a client: TLS, or plain when there is no context. Satisfies AsyncStream.
class ClientStream {
 public:
  using executor_type = tcp::socket::executor_type;
  using TlsContext = std::shared_ptr<asio::ssl::context>;

  ClientStream(tcp::socket socket, TlsContext context)
      : context_(std::move(context)), socket_(std::move(socket)) {
    if (context_) {
      tls_.emplace(socket_, *context_);
    }
  }

  executor_type get_executor() { return socket_.get_executor(); }

  template <class Buffers, class Handler>
  void async_read_some(const Buffers& buffers, Handler&& handler) {
    if (tls_) {
      tls_->async_read_some(buffers, std::forward<Handler>(handler));
    } else {
      socket_.async_read_some(buffers, std::forward<Handler>(handler));
    }
  }

  template <class Buffers, class Handler>
  void async_write_some(const Buffers& buffers, Handler&& handler) {
    if (tls_) {
      tls_->async_write_some(buffers, std::forward<Handler>(handler));
    } else {
      socket_.async_write_some(buffers, std::forward<Handler>(handler));
    }
  }

  void Handshake(std::function<void(ErrorCode)> done);
  // Says goodbye (close_notify, FIN); `done` when the other side has, too, or on an error.
  void Shutdown(std::function<void(ErrorCode)> done);
  void Close();

  // Null for a plain connection.
  SSL* native_tls() { return tls_ ? tls_->native_handle() : nullptr; }

  tcp::socket& socket() { return socket_; }

 private:
  TlsContext context_;
  tcp::socket socket_;
  std::optional<asio::ssl::stream<tcp::socket&>> tls_;
};

// The other side ended the connection in an orderly way, or without TLS's goodbye as many do.
bool IsEndOfStream(const ErrorCode& error);

}  // namespace farlet::server
