#pragma once

#include "provider/node/certificate_manager.h"

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

namespace farlet::node {

// The node's identity: a client certificate for system:node:NAME in group system:nodes, got by TLS
// bootstrap and rotated with itself. Lives in `cert_dir`/kubelet-client-current.pem.
//
//   no valid certificate ──bootstrap client: CSR──► valid ──own client: CSR at 70–90 %──► valid
//          ▲                                          │ expired (the node was off for long)
//          └──────────────────────────────────────────┘
//
// Thread safe.
class ClientCertificate {
 public:
  struct Options {
    std::string node_name;
    std::filesystem::path cert_dir;
    // Has the bootstrap credentials; null: there are none, and a certificate has to exist.
    kube::Client* bootstrap = nullptr;
    // A usable certificate is in the file: for the first time, or another one. The client that uses
    // it re-reads the file by itself.
    std::function<void()> on_certificate;
  };

  // `timers` and the bootstrap client outlive it.
  ClientCertificate(const Clock& clock, TimerService& timers, Options options);

  void Start() { manager_.Start(); }

  void Stop() { manager_.Stop(); }

  bool usable() const { return manager_.usable(); }

  // Rotation asks with this client from now on. Outlives this.
  void UseClient(kube::Client& own);

  static std::filesystem::path PathIn(const std::filesystem::path& cert_dir);

 private:
  CertificateManagerOptions ManagerOptions(const Options& options);

  std::mutex mutex_;  // guards own_
  kube::Client* own_ = nullptr;
  CertificateManager manager_;
};

// Writes the kubeconfig that a node uses its certificate with, mode 0600, unless it says the same
// already.
Status WriteNodeKubeconfig(const std::filesystem::path& path,
                           const std::string& server,
                           const std::string& ca_pem,
                           const std::filesystem::path& certificate);

}  // namespace farlet::node
