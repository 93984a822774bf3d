#include "provider/node/client_certificate.h"

#include "kube/auth/kubeconfig.h"
#include "runtime/base/file.h"

#include <utility>

namespace farlet::node {

ClientCertificate::ClientCertificate(const Clock& clock, TimerService& timers, Options options)
    : manager_(clock, timers, ManagerOptions(options)) {}

CertificateManagerOptions ClientCertificate::ManagerOptions(const Options& options) {
  kube::CertificateSubject subject;
  subject.common_name = "system:node:" + options.node_name;
  subject.organizations = {"system:nodes"};
  return {.signer = "kubernetes.io/kube-apiserver-client-kubelet",
          // Key encipherment is for RSA keys only; ours are elliptic.
          .usages = {"digital signature", "client auth"},
          .path = PathIn(options.cert_dir),
          .subject = [subject] { return subject; },
          .client = [this, bootstrap = options.bootstrap](bool usable) -> kube::Client* {
            const std::lock_guard lock(mutex_);
            return usable ? own_ : bootstrap;
          },
          .on_change = [tell = options.on_certificate](const KeyPair& /*pair*/) { tell(); }};
}

void ClientCertificate::UseClient(kube::Client& own) {
  {
    const std::lock_guard lock(mutex_);
    own_ = &own;
  }
  manager_.Check();
}

std::filesystem::path ClientCertificate::PathIn(const std::filesystem::path& cert_dir) {
  return cert_dir / "kubelet-client-current.pem";
}

Status WriteNodeKubeconfig(const std::filesystem::path& path,
                           const std::string& server,
                           const std::string& ca_pem,
                           const std::filesystem::path& certificate) {
  const std::string text = kube::FormatKubeconfig(server, ca_pem, certificate.string());
  if (const Result<std::string> known = ReadFile(path); known && *known == text) {
    return {};
  }
  return WriteFileAtomic(path, text, 0600);
}

}  // namespace farlet::node
