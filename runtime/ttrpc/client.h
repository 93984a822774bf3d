#pragma once

#include "runtime/base/fd.h"
#include "runtime/ttrpc/types.h"

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>

namespace boost::asio {
class io_context;
}

namespace farlet::ttrpc {

// Makes unary ttRPC calls over one connection, any number at once, answered in any order. Thread
// safe. Every `done` is called exactly once, on the I/O thread (the one that runs `context`, which
// outlives this object), and must not block.
//
// Errors of a call: what the other side answered (codes kept, unknown ones are kUnknown);
// kDeadlineExceeded when its time is over; kUnavailable when the connection ended or was closed;
// kResourceExhausted when a limit is reached; kInternal when the answer makes no sense. Messages
// begin with "service/method: ".
class Client {
 public:
  static std::shared_ptr<Client> Over(boost::asio::io_context& context,
                                      UniqueFd connection,
                                      Limits limits = {});
  // Calls Close().
  ~Client();

  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void Call(Request request, Callback<std::string> done);

  // A timeout of 0: none.
  void Call(std::string service,
            std::string method,
            std::string payload,
            std::chrono::milliseconds timeout,
            Callback<std::string> done);

  template <class Req, class Rep>
  void Call(std::string service,
            std::string method,
            const Req& message,
            std::chrono::milliseconds timeout,
            Callback<Rep> done);

  // Waits for the answer; never on the I/O thread. Errors: also kDeadlineExceeded when the I/O
  // thread does not run.
  Result<std::string> CallAndWait(Request request);

  template <class Req, class Rep>
  Result<Rep> CallAndWait(const std::string& service,
                          const std::string& method,
                          const Req& message,
                          std::chrono::milliseconds timeout);

  // `hook` is called once, on the I/O thread, after the calls that the end of the connection fails;
  // soon, when it has ended. Replaces an earlier hook.
  void OnEnd(std::function<void(const Error& error)> hook);

  // Fails all open and further calls with kUnavailable.
  void Close();

 private:
  class Core;

  explicit Client(std::shared_ptr<Core> core);

  const std::shared_ptr<Core> core_;
};

template <class Req, class Rep>
void Client::Call(std::string service,
                  std::string method,
                  const Req& message,
                  std::chrono::milliseconds timeout,
                  Callback<Rep> done) {
  std::string what = service + "/" + method + ": the answer";
  Call(std::move(service), std::move(method), message.SerializeAsString(), timeout,
       [what = std::move(what), done = std::move(done)](Result<std::string> payload) {
         if (!payload) {
           done(std::move(payload).error());
           return;
         }
         auto answer = ParseMessage<Rep>(*payload, what);
         done(answer ? std::move(answer) : Result<Rep>(Internal(answer.error().message)));
       });
}

template <class Req, class Rep>
Result<Rep> Client::CallAndWait(const std::string& service,
                                const std::string& method,
                                const Req& message,
                                std::chrono::milliseconds timeout) {
  const std::string what = service + "/" + method + ": the answer";
  Request request{.service = service,
                  .method = method,
                  .payload = message.SerializeAsString(),
                  .timeout = timeout};
  FARLET_ASSIGN(const std::string payload, CallAndWait(std::move(request)));
  auto answer = ParseMessage<Rep>(payload, what);
  if (!answer) {
    return Internal(answer.error().message);
  }
  return answer;
}

}  // namespace farlet::ttrpc
