#pragma once

#include "proto/guest/v1/guest.pb.h"
#include "runtime/base/result.h"
#include "runtime/shim/cpu_timer.h"
#include "runtime/ttrpc/client.h"

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>

namespace farlet::shim {

inline constexpr char kAgentService[] = "farlet.guest.v1.Agent";
// A guest that does not answer within this is told about, not waited for. The time during which the
// host had no CPU for it does not count, up to kLongestAnswer.
inline constexpr std::chrono::milliseconds kGuestDeadline{10000};
inline constexpr std::chrono::milliseconds kLongestAnswer{60000};
inline constexpr std::chrono::milliseconds kNoDeadline{0};

// Words an error of the agent for people: which call, and that it was the guest.
Error GuestError(const std::string& method, Error error);

// Calls to the agent in the guest. Thread safe; `done` comes on the I/O thread.
class GuestAgent {
 public:
  // `waited`: how long those who work for the guest were ready to run but did not.
  GuestAgent(std::shared_ptr<ttrpc::Client> client,
             boost::asio::io_context& io,
             CpuTimer::Waited waited)
      : client_(std::move(client)), io_(io), waited_(std::move(waited)) {}

  // `deadline` is kGuestDeadline or kNoDeadline.
  template <class Rep, class Req>
  void Call(const std::string& method,
            const Req& request,
            std::chrono::milliseconds deadline,
            Callback<Rep> done) {
    auto once = std::make_shared<Callback<Rep>>(std::move(done));
    const auto timer = StartTimer(
        method, deadline, [once](Error late) { std::exchange(*once, nullptr)(std::move(late)); });
    client_->Call<Req, Rep>(
        kAgentService, method, request, WireTimeout(deadline),
        [method, timer, once](Result<Rep> reply) {
          if (!*once) {
            return;  // too late, and said so
          }
          if (timer) {
            timer->Cancel();
          }
          std::exchange(*once, nullptr)(
              reply ? std::move(reply) : Result<Rep>(GuestError(method, std::move(reply).error())));
        });
  }

  void Close() { client_->Close(); }

 private:
  // Null without a deadline.
  std::shared_ptr<CpuTimer> StartTimer(const std::string& method,
                                       std::chrono::milliseconds deadline,
                                       std::function<void(Error)> late) const;

  // For the guest, and in case that the timer is not called: it comes after it.
  static std::chrono::milliseconds WireTimeout(std::chrono::milliseconds deadline) {
    return deadline == kNoDeadline ? kNoDeadline : deadline + kLongestAnswer;
  }

  std::shared_ptr<ttrpc::Client> client_;
  boost::asio::io_context& io_;
  CpuTimer::Waited waited_;
};

}  // namespace farlet::shim
