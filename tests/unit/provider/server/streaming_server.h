#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace farlet::server::testing {

// One connection as CRI's streaming server has it. Blocking, reads bounded by five seconds.
class ServedConnection {
 public:
  explicit ServedConnection(int fd) : fd_(fd) {}

  ServedConnection(const ServedConnection&) = delete;
  ServedConnection& operator=(const ServedConnection&) = delete;

  ~ServedConnection();

  // The request's head.
  std::string ReadHead();
  // Exactly `size` bytes, fewer at the end.
  std::string ReadBytes(size_t size);
  // Everything up to the end of the stream.
  std::string ReadToEnd();
  bool Send(std::string_view bytes);
  void Reset();

 private:
  bool Fill();

  int fd_;
  std::string buffer_;
};

// A tiny streaming server on loopback: one thread a connection.
class StreamingServer {
 public:
  explicit StreamingServer(std::function<void(ServedConnection&)> serve);
  ~StreamingServer();

  StreamingServer(const StreamingServer&) = delete;
  StreamingServer& operator=(const StreamingServer&) = delete;

  std::string Url(std::string_view path) const;

 private:
  const std::function<void(ServedConnection&)> serve_;
  int fd_ = -1;
  uint16_t port_ = 0;
  std::mutex mutex_;  // guards threads_
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

inline constexpr std::string_view kSwitched =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"
    "X-Stream-Protocol-Version: v4.channel.k8s.io\r\n\r\n";

}  // namespace farlet::server::testing
