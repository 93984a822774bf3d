#pragma once

#include "kube/client/make_client.h"
#include "kube/client/token_bucket.h"
#include "kube/http/transport.h"

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>

// What the requests and watches of one client share. Private to kube/client.
namespace farlet::kube {

// Something in flight that the client has to end when it goes.
class InFlight {
 public:
  virtual ~InFlight() = default;
  // Makes it end soon, on the I/O thread, with kCancelled.
  virtual void Abort() = 0;
};

class ClientCore : public std::enable_shared_from_this<ClientCore> {
 public:
  ClientCore(const ClusterAccess& access,
             std::unique_ptr<http::Transport> transport,
             const Clock& clock,
             TimerService& timers,
             const ClientOptions& options);

  // False when the client is going: nothing may start any more.
  bool Register(const std::shared_ptr<InFlight>& item);
  // After the item's last handler has returned.
  void Unregister(const std::shared_ptr<InFlight>& item);
  // Ends everything and waits for it.
  void Shutdown();

  // Waits for the rate limit (until `deadline` at most), then yields the current credential with
  // TLS set up for it. Errors: kDeadlineExceeded, those of Credentials. `done` is called on the I/O
  // thread, never from within this call.
  void Prepare(SteadyTime deadline, Callback<CredentialPtr> done);
  // The same without the rate limit.
  void Authenticate(Callback<CredentialPtr> done);
  void Count(const std::string& verb, const std::string& path, bool retry);

  http::Headers HeadersFor(const Credential& credential) const;
  // The error of a request that got no answer, naming the server.
  Error Unanswered(std::string_view what, Error error) const;

  http::Transport& transport() { return *transport_; }

  Credentials& credentials() { return *credentials_; }

  const Clock& clock() const { return clock_; }

  TimerService& timers() { return timers_; }

 private:
  // On the I/O thread.
  Status UseTls(const Credential& credential);

  const std::string server_;
  const std::string tls_server_name_;
  const std::shared_ptr<Credentials> credentials_;
  const std::string user_agent_;
  const std::shared_ptr<ClientStats> stats_;
  const Clock& clock_;
  TimerService& timers_;
  TokenBucket bucket_;
  uint64_t tls_generation_ = 0;  // in use; only the I/O thread
  std::mutex mutex_;             // guards all below but transport_
  std::condition_variable changed_;
  bool stopping_ = false;
  std::set<std::shared_ptr<InFlight>> in_flight_;
  const std::unique_ptr<http::Transport> transport_;
};

}  // namespace farlet::kube
