#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace farlet::testing {

struct FakeCertificate {
  std::string certificate_pem;
  std::string key_pem;
};

struct FakeCertificateOptions {
  std::string common_name = "kube-apiserver";
  std::vector<std::string> organizations;
  std::vector<std::string> dns_names;
  std::vector<std::string> ip_addresses;
  // Relative to now.
  std::chrono::seconds not_before{-60};
  std::chrono::seconds not_after{3600};
};

// A certificate authority for tests. Not thread safe. Failures end the process.
class FakeCa {
 public:
  explicit FakeCa(std::string_view common_name = "test-ca");
  ~FakeCa();

  FakeCa(const FakeCa&) = delete;
  FakeCa& operator=(const FakeCa&) = delete;

  const std::string& certificate_pem() const;
  FakeCertificate Issue(const FakeCertificateOptions& options) const;
  // Signs a PEM CSR as the cluster's signer does: its subject, SANs and key are taken over.
  std::string Sign(std::string_view csr_pem,
                   std::chrono::seconds not_before = std::chrono::seconds(-60),
                   std::chrono::seconds not_after = std::chrono::hours(1)) const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace farlet::testing
