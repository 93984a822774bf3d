#pragma once

#include "provider/node/certificate_manager.h"

#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace farlet::node {

// What the kubelet API shows: a self-signed certificate until one that the cluster has signed
// (kubernetes.io/kubelet-serving, which somebody has to approve) is there; then that, rotated at 70
// to 90 % of its life and whenever the node's addresses change. Lives in
// `cert_dir`/kubelet-server-current.pem. Thread safe.
class ServingCertificate {
 public:
  struct Options {
    std::string node_name;
    std::vector<std::string> ips;  // of the node's status
    std::filesystem::path cert_dir;
    // Asks for certificates with the node's own identity; null: self-signed for ever.
    kube::Client* client = nullptr;
    // The pair to serve with from now on. First during Start().
    std::function<void(const KeyPair& pair)> on_pair;
  };

  // `timers` and the client outlive it.
  ServingCertificate(const Clock& clock, TimerService& timers, Options options);

  // Error: the self-signed certificate could not be made.
  Status Start();
  void Stop();
  // The node has other addresses now.
  void SetIps(std::vector<std::string> ips);

 private:
  kube::CertificateSubject Subject();
  CertificateManagerOptions ManagerOptions();

  const Clock& clock_;
  const Options options_;
  std::mutex mutex_;  // guards ips_
  std::vector<std::string> ips_;
  CertificateManager manager_;
};

}  // namespace farlet::node
