#pragma once

#include "runtime/base/clock.h"
#include "runtime/ttrpc/connection.h"
#include "runtime/ttrpc/types.h"

#include <boost/asio/steady_timer.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

// Internal.
namespace farlet::ttrpc {

// The calls of one client. I/O thread only.
class ClientConnection final : public Connection {
 public:
  using Connection::Connection;

  // `due` is when the call's timeout is over; the request has the timeout itself, 0 for none.
  void Call(Request request, SteadyTime due, Callback<std::string> done);
  void SetEndHook(std::function<void(const Error&)> hook);

 private:
  struct Pending {
    std::string what;  // "service/method"
    Callback<std::string> done;
    std::unique_ptr<asio::steady_timer> timer;
  };

  Status OnFrame(Frame frame) override;
  void OnRestart() override;
  void OnEnd(const Status& end) override;

  // What hinders a call before it is sent; else its frame.
  Result<std::string> Prepare(uint32_t stream, Request request, SteadyTime due);
  void StartTimer(uint32_t stream,
                  Pending& pending,
                  SteadyTime due,
                  std::chrono::nanoseconds timeout);
  uint32_t NextStream();
  void Finish(uint32_t stream, Result<std::string> result);
  void FailAll(const Error& error);

  std::unordered_map<uint32_t, Pending> pending_;
  std::function<void(const Error&)> end_hook_;
  std::optional<Error> end_error_;
  uint32_t next_stream_ = 1;
  bool wrapped_ = false;
};

}  // namespace farlet::ttrpc
