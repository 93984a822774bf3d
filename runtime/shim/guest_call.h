#pragma once

#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/base/result.h"
#include "runtime/shim/guest_agent.h"
#include "runtime/ttrpc/client.h"

#include <boost/asio/io_context.hpp>

#include <fcntl.h>

#include <cerrno>
#include <chrono>
#include <optional>
#include <utility>

// Calls to the guest's agent before there is a pod, and with it an I/O thread: one at a time,
// waiting.
namespace farlet::shim {

// The client makes its descriptor non-blocking, which is a property of what the copy shares.
class BlockingAgain {
 public:
  explicit BlockingAgain(int fd) : fd_(fd), flags_(::fcntl(fd, F_GETFL)) {}

  ~BlockingAgain() { ::fcntl(fd_, F_SETFL, flags_); }

  BlockingAgain(const BlockingAgain&) = delete;
  BlockingAgain& operator=(const BlockingAgain&) = delete;

 private:
  const int fd_;
  const int flags_;
};

// One call, over a connection of its own on the port `agent`, which stays open.
template <class Response, class Request>
Result<Response> CallGuest(int agent,
                           const char* method,
                           const Request& request,
                           SteadyTime deadline) {
  const BlockingAgain restore(agent);
  UniqueFd copy(::fcntl(agent, F_DUPFD_CLOEXEC, 3));
  if (!copy.valid()) {
    return ErrnoError(errno, "duplicate a descriptor");
  }
  boost::asio::io_context io;
  const auto client = ttrpc::Client::Over(io, std::move(copy));
  std::optional<Result<Response>> answer;
  client->Call<Request, Response>(kAgentService, method, request, std::chrono::milliseconds(0),
                                  [&](Result<Response> reply) {
                                    answer = std::move(reply);
                                    io.stop();
                                  });
  io.run_until(deadline);
  // The call's callback refers to what is here: it must have run before that goes.
  const bool answered = answer.has_value();
  if (!answered) {
    client->Close();
    io.restart();
    io.poll();
    return MakeError(Code::kDeadlineExceeded, "the guest's agent does not answer");
  }
  return Annotate(*std::move(answer), "the guest's agent");
}

}  // namespace farlet::shim
