#pragma once

#include "kube/client/client.h"
#include "runtime/base/timer.h"

#include <memory>
#include <string>
#include <vector>

namespace farlet::node {

struct SigningRequest {
  std::string signer;               // "kubernetes.io/kubelet-serving"
  std::vector<std::string> usages;  // "digital signature", "server auth"
  std::string csr_pem;
};

// One CertificateSigningRequest, from its creation to its certificate.
//
//   creating ──201──► watching ──status.certificate──► done (PEM chain)
//      │ error           └── denied, failed, deleted, nothing within 15 minutes
//      ▼                                   ▼
//   done (error)                      done (error)
//
// `done` is called once, on a thread of the client or the timer, must not block and must not
// destroy this. Destroying it gives up (the CSR stays, and the cluster collects it). `client` and
// `timers` outlive it.
class CertificateRequest {
 public:
  CertificateRequest(kube::Client& client,
                     const Clock& clock,
                     TimerService& timers,
                     SigningRequest request,
                     Callback<std::string> done);
  ~CertificateRequest();

  CertificateRequest(const CertificateRequest&) = delete;
  CertificateRequest& operator=(const CertificateRequest&) = delete;

  void Start();

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace farlet::node
