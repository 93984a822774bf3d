#pragma once

#include "provider/server/body_source.h"
#include "provider/server/io.h"

#include <array>
#include <chrono>
#include <functional>
#include <memory>
#include <string>

// Internal.
namespace farlet::server {

struct BodySenderOptions {
  bool chunked = true;     // HTTP/1.1; else the end of the connection ends the body
  bool keep_alive = true;  // what the headers say
  bool live = false;
  std::chrono::milliseconds write_timeout{0};
};

// Sends a 200 answer whose body comes from a BodySource: one piece is produced when the one before
// has been taken by the client, so no more than one is ever held. I/O thread.
class BodySender : public std::enable_shared_from_this<BodySender> {
 public:
  BodySender(std::shared_ptr<IoCore> core,
             std::shared_ptr<ClientStream> stream,
             std::unique_ptr<BodySource> body,
             BodySenderOptions options);

  // `done` runs once: without error when the whole body has been sent.
  void Start(std::function<void(ErrorCode)> done);

 private:
  void WatchClient();
  void Pump();
  void Write(BodySource::Next next);
  void Continue(BodySource::Next next);
  void Wait();
  void End(const ErrorCode& error);

  const std::shared_ptr<IoCore> core_;
  const std::shared_ptr<ClientStream> stream_;
  std::unique_ptr<BodySource> body_;
  const BodySenderOptions options_;
  Deadline deadline_;
  asio::steady_timer pause_;
  std::chrono::milliseconds pause_length_;
  std::function<void(ErrorCode)> done_;
  bool headers_sent_ = false;
  std::string piece_;
  std::string output_;
  std::array<char, 256> scratch_{};  // for what a client sends while it should only listen
};

}  // namespace farlet::server
