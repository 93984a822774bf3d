#pragma once

#include "kube/client/client_core.h"
#include "runtime/base/backoff.h"

#include <memory>
#include <string>
#include <string_view>

namespace farlet::kube {

struct RestRequest {
  std::string method;
  std::string path;  // for messages and counters
  std::string target;
  std::string content_type;
  std::string body;
};

// One call of the client with all its repetitions. After Start() it lives on the I/O thread.
//
//   Prepare (rate limit, credential) ─► Send ─► done
//        ▲                               │
//        └── 401, once; back-off ◄───────┘
class RestCall final : public InFlight, public std::enable_shared_from_this<RestCall> {
 public:
  RestCall(std::shared_ptr<ClientCore> core,
           RestRequest request,
           const CallOptions& options,
           Callback<Json> done);

  void Start();
  void Abort() override;

 private:
  void Attempt();
  void Send(const Credential& credential);
  void HandleAnswer(Result<http::Response> answer, uint64_t generation);
  void RetryOrFail(Error error);
  void Finish(Result<Json> result);
  void HandleDeadline();

  std::string What() const { return request_.method + " " + request_.path; }

  const std::shared_ptr<ClientCore> core_;
  const RestRequest request_;
  const CallOptions options_;
  const SteadyTime deadline_;
  Callback<Json> done_;
  Backoff backoff_{{}};
  TimerService::Id deadline_timer_ = 0;
  int tries_ = 0;
  bool refreshed_ = false;
  bool finished_ = false;
  Error last_error_;
};

}  // namespace farlet::kube
