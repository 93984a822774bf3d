#pragma once

#include "runtime/base/clock.h"
#include "runtime/base/result.h"

#include <string>
#include <string_view>
#include <vector>

// X.509 for a node: keys, signing requests, and what a certificate says. ECDSA P-256, PEM, SHA-256.
namespace farlet::kube {

struct CertificateSubject {
  std::string common_name;
  std::vector<std::string> organizations;
  std::vector<std::string> dns_names;
  std::vector<std::string> ip_addresses;  // textual, v4 or v6
};

// "-----BEGIN PRIVATE KEY-----" (PKCS #8). Secret: files get mode 0600.
Result<std::string> GeneratePrivateKey();

// A PEM certificate request signed by `key_pem`. kInvalidArgument for a malformed key or address.
Result<std::string> MakeCertificateRequest(std::string_view key_pem,
                                           const CertificateSubject& subject);

// A self-signed serving certificate (extended key usage serverAuth), valid from an hour before
// `now`.
Result<std::string> MakeSelfSignedCertificate(std::string_view key_pem,
                                              const CertificateSubject& subject,
                                              WallTime now,
                                              seconds lifetime);

// A certificate authority of its own, for what two parties of ours trust each other by.
Result<std::string> MakeCaCertificate(std::string_view key_pem,
                                      const CertificateSubject& subject,
                                      WallTime now,
                                      seconds lifetime);

struct Issuer {
  std::string_view certificate_pem;
  std::string_view key_pem;
};

// A serving certificate for `key_pem`, signed by `issuer`. kInvalidArgument also when the issuer's
// key is not that of its certificate.
Result<std::string> IssueCertificate(const Issuer& issuer,
                                     std::string_view key_pem,
                                     const CertificateSubject& subject,
                                     WallTime now,
                                     seconds lifetime);

struct CertificateInfo {
  std::string common_name;
  std::vector<std::string> organizations;
  std::vector<std::string> dns_names;
  std::vector<std::string> ip_addresses;
  WallTime not_before;
  WallTime not_after;
};

// The first certificate of a PEM text; blocks of other types before it are skipped.
Result<CertificateInfo> ParseCertificate(std::string_view pem);

// kInvalidArgument when the key is not that of the first certificate.
Status CheckKeyMatches(std::string_view certificate_pem, std::string_view key_pem);

}  // namespace farlet::kube
