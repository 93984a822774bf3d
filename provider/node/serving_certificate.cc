#include "provider/node/serving_certificate.h"

#include <utility>

namespace farlet::node {
namespace {

constexpr std::chrono::hours kSelfSignedLife(24 * 365);

}  // namespace

ServingCertificate::ServingCertificate(const Clock& clock, TimerService& timers, Options options)
    : clock_(clock),
      options_(std::move(options)),
      ips_(options_.ips),
      manager_(clock, timers, ManagerOptions()) {}

CertificateManagerOptions ServingCertificate::ManagerOptions() {
  return {.signer = "kubernetes.io/kubelet-serving",
          .usages = {"digital signature", "server auth"},
          .path = options_.cert_dir / "kubelet-server-current.pem",
          .subject = [this] { return Subject(); },
          .client = [client = options_.client](bool /*usable*/) { return client; },
          .on_change = options_.on_pair};
}

// The signer takes exactly this subject, and addresses that the node's status has.
kube::CertificateSubject ServingCertificate::Subject() {
  kube::CertificateSubject subject;
  subject.common_name = "system:node:" + options_.node_name;
  subject.organizations = {"system:nodes"};
  subject.dns_names = {options_.node_name};
  const std::lock_guard lock(mutex_);
  subject.ip_addresses = ips_;
  return subject;
}

Status ServingCertificate::Start() {
  FARLET_ASSIGN(const std::string key, kube::GeneratePrivateKey());
  kube::CertificateSubject subject = Subject();
  subject.organizations.clear();
  FARLET_ASSIGN(
      const std::string certificate,
      kube::MakeSelfSignedCertificate(key, subject, clock_.WallNow(),
                                      std::chrono::duration_cast<seconds>(kSelfSignedLife)));
  options_.on_pair({.certificate_pem = certificate, .key_pem = key});
  if (options_.client != nullptr) {
    manager_.Start();
  }
  return {};
}

void ServingCertificate::Stop() {
  manager_.Stop();
}

void ServingCertificate::SetIps(std::vector<std::string> ips) {
  {
    const std::lock_guard lock(mutex_);
    if (ips == ips_) {
      return;
    }
    ips_ = std::move(ips);
  }
  manager_.Check();
}

}  // namespace farlet::node
