#pragma once

#include "kube/client/client.h"
#include "provider/pod/volumes.h"
#include "runtime/base/clock.h"
#include "runtime/base/timer.h"

#include <functional>
#include <memory>
#include <string>

namespace farlet::pod {

// Bound service account tokens of pods, by the TokenRequest API.
//
//   first lookup ──► requested ──► held ──80 % of its life, or 24 h──► renewed (the old one serves
//                        │                                             until it expires)
//                        └─ failed: the reason, retried 100 ms → 60 s
//
// A lookup never waits; few requests are made at once, the oldest first. Tokens are never logged.
// Thread safe. `listener` is told of a pod whose lookup would now answer differently; it is called
// from timers and I/O threads, never with a lock held, and must not block. The client, the clock
// and the timers outlive this object; it may be destroyed at any time.
class ServiceAccountTokens {
 public:
  using Listener = std::function<void(const std::string& pod_uid)>;

  ServiceAccountTokens(kube::Client& client,
                       const Clock& clock,
                       TimerService& timers,
                       Listener listener);
  ~ServiceAccountTokens();

  ServiceAccountTokens(const ServiceAccountTokens&) = delete;
  ServiceAccountTokens& operator=(const ServiceAccountTokens&) = delete;

  // What the volumes of `pod` read. Errors of a lookup: kUnavailable while the first token is
  // being requested, the server is out of reach, or it refuses for no longer than
  // kube::kAuthorizerLag; then the server's own error, while asking goes on.
  TokenLookup For(std::shared_ptr<const kube::Pod> pod);
  // Drops the tokens of a pod and what is in flight for them.
  void Forget(const std::string& pod_uid);

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;  // shared with callbacks in flight
};

}  // namespace farlet::pod
