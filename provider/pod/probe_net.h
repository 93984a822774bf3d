#pragma once

#include "kube/api/pod.h"
#include "runtime/base/clock.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace farlet::pod {

// How one probe went (kubelet-contract B3). Text is that of the event.
struct ProbeOutcome {
  enum class Kind {
    kSuccess,
    kWarning,  // success with something to say (redirect to another host)
    kFailure,
    kError,  // could not be told: tried again, then ignored
  };
  Kind kind = Kind::kSuccess;
  std::string text;
};

using ProbeDone = std::function<void(ProbeOutcome outcome)>;

struct HttpProbeRequest {
  bool tls = false;
  std::string host;
  uint16_t port = 0;
  std::string path;  // with query
  std::vector<kube::HttpHeader> headers;
  milliseconds timeout{1000};
};

// HTTP and TCP probes, all on one thread of its own. Thread safe. `done` runs at most once, on that
// thread, and must not block; probes that run when it is destroyed end unheard.
class NetProber {
 public:
  // GET; 200 ≤ status < 400 is success; TLS is not verified; up to ten redirects on the same host.
  virtual void Http(const HttpProbeRequest& request, ProbeDone done) = 0;
  // Connects and closes.
  virtual void Tcp(const std::string& host,
                   uint16_t port,
                   milliseconds timeout,
                   ProbeDone done) = 0;
  virtual ~NetProber() = default;
};

// `version`: of the User-Agent "kube-probe/<version>".
std::unique_ptr<NetProber> MakeNetProber(const std::string& version);

}  // namespace farlet::pod
