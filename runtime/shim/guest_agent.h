#pragma once

#include "proto/guest/v1/guest.pb.h"
#include "runtime/base/result.h"
#include "runtime/ttrpc/client.h"

#include <chrono>
#include <memory>
#include <string>
#include <utility>

namespace farlet::shim {

inline constexpr char kAgentService[] = "farlet.guest.v1.Agent";
// A guest that does not answer within this is told about, not waited for.
inline constexpr std::chrono::milliseconds kGuestDeadline{10000};
inline constexpr std::chrono::milliseconds kNoDeadline{0};

// Words an error of the agent for people: which call, and that it was the guest.
Error GuestError(const std::string& method, std::chrono::milliseconds deadline, Error error);

// Calls to the agent in the guest. Thread safe; `done` comes on the I/O thread.
class GuestAgent {
 public:
  explicit GuestAgent(std::shared_ptr<ttrpc::Client> client) : client_(std::move(client)) {}

  template <class Rep, class Req>
  void Call(const std::string& method,
            const Req& request,
            std::chrono::milliseconds deadline,
            Callback<Rep> done) {
    client_->Call<Req, Rep>(kAgentService, method, request, deadline,
                            [method, deadline, done = std::move(done)](Result<Rep> reply) {
                              if (!reply) {
                                done(GuestError(method, deadline, std::move(reply).error()));
                                return;
                              }
                              done(std::move(reply));
                            });
  }

  void Close() { client_->Close(); }

 private:
  std::shared_ptr<ttrpc::Client> client_;
};

}  // namespace farlet::shim
