#pragma once

#include "kube/client/client.h"
#include "provider/webhook/certificates.h"
#include "runtime/base/timer.h"

#include <functional>
#include <memory>
#include <string>

namespace farlet::webhook {

struct CertificateKeeperOptions {
  std::string object_namespace;  // of the Secret
  std::string secret_name;
  // MutatingWebhookConfiguration of which all webhooks get the caBundle; empty: nobody's.
  std::string configuration_name;
  CertificatePolicy policy;
  seconds look_again{30};
  // The pair to serve with from now on; on a thread of the client, must not block.
  std::function<void(const CertificateSet& set)> on_change;
};

// Keeps the webhook's certificate in a Secret that all replicas serve from, and its authority in
// the configuration by which API servers trust it.
//
//   every replica: Secret changed ──► on_change
//   the leader:    Secret missing, malformed, due ──► written ──► (seen by all)
//                  caBundle differs ──► patched
//
// The leader does one thing at a time and looks again when the Secret or the configuration changes,
// when one thing is done, and twice a minute. What fails is tried again then. Thread safe. `client`
// and `timers` outlive it.
class CertificateKeeper {
 public:
  CertificateKeeper(kube::Client& client,
                    const Clock& clock,
                    TimerService& timers,
                    CertificateKeeperOptions options);
  ~CertificateKeeper();  // Stop()

  CertificateKeeper(const CertificateKeeper&) = delete;
  CertificateKeeper& operator=(const CertificateKeeper&) = delete;

  void Start();
  // Nothing runs afterwards. Not from on_change. Idempotent.
  void Stop();
  void SetLeading(bool leading);

  // on_change has been called.
  bool usable() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace farlet::webhook
