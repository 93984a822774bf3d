#pragma once

#include "kube/auth/kubeconfig.h"
#include "kube/client/client.h"
#include "runtime/base/timer.h"

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace farlet::kube {

// HTTP requests by verb ("GET", "POST", "PUT", "PATCH", "DELETE", "WATCH") and kind of resource
// ("pods", "pods/status", "leases"), repetitions included. Thread safe.
class ClientStats {
 public:
  struct Counts {
    std::map<std::string, uint64_t> by_verb;
    std::map<std::string, uint64_t> by_verb_and_resource;  // "PATCH pods/status"
    uint64_t retries = 0;
  };

  void Count(const std::string& verb, const std::string& path, bool retry);
  Counts counts() const;

 private:
  mutable std::mutex mutex_;  // guards counts_
  Counts counts_;
};

// "pods/status" of "/api/v1/namespaces/default/pods/web-0/status"; "" of a path that is none.
std::string ResourceOfPath(std::string_view path);

struct ClientOptions {
  // The token bucket: `burst` requests at once, then `qps` a second.
  double qps = 50;
  int burst = 100;
  std::string user_agent = "farlet";
  std::shared_ptr<ClientStats> stats;  // null: nobody counts
};

// `clock` and `timers` outlive the client. kInvalidArgument when the server address is malformed;
// nothing is sent yet.
Result<std::unique_ptr<Client>> MakeClient(const ClusterAccess& access,
                                           const Clock& clock,
                                           TimerService& timers,
                                           const ClientOptions& options = {});

}  // namespace farlet::kube
