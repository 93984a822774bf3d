#pragma once

#include "kube/auth/certificate.h"
#include "runtime/base/clock.h"
#include "runtime/base/result.h"

#include <nlohmann/json_fwd.hpp>

#include <optional>
#include <string>

// The webhook's own certificate authority and certificate, as they lie in a Secret. Pure functions.
namespace farlet::webhook {

struct CertificateSet {
  std::string ca_pem;      // whom to trust: the authority, and after it those before it
  std::string ca_key_pem;  // of the first
  std::string certificate_pem;
  std::string key_pem;

  bool operator==(const CertificateSet&) const = default;
};

struct CertificatePolicy {
  kube::CertificateSubject subject;
  seconds ca_lifetime{std::chrono::hours(24 * 365)};
  seconds lifetime{std::chrono::hours(24 * 30)};
  // How long a new authority is trusted before it signs: API servers have to have heard of it.
  seconds settle{60};
};

// What is to take the place of `current` at `now`; nothing: it is good.
//
// A certificate is renewed after two thirds of its life, and when it is for another subject; an
// authority, too, but its certificate then stays until the new one has been trusted for
// `policy.settle`. The one before stays trusted until it ends, so no connection fails on the way.
Result<std::optional<CertificateSet>> Renew(const std::optional<CertificateSet>& current,
                                            const CertificatePolicy& policy,
                                            WallTime now);

// Secret of type kubernetes.io/tls: tls.crt, tls.key, ca.crt, ca.key.
nlohmann::json SecretOf(const CertificateSet& set);
// kInvalidArgument, naming the key, when something is missing or malformed or does not fit
// together.
Result<CertificateSet> SetOf(const nlohmann::json& secret);

}  // namespace farlet::webhook
