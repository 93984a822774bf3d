#include "provider/webhook/certificates.h"

#include "runtime/base/base64.h"
#include "runtime/base/time_format.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

namespace farlet::webhook {
namespace {

using Json = nlohmann::json;
using kube::CertificateInfo;

// Certificates begin to be valid so long before they are made.
constexpr std::chrono::hours kBackdated{1};
constexpr size_t kMaxTrusted = 4;

WallTime MadeAt(const CertificateInfo& info) {
  return info.not_before + kBackdated;
}

bool IsDue(const CertificateInfo& info, WallTime now) {
  const auto life = info.not_after - MadeAt(info);
  return now >= MadeAt(info) + life * 2 / 3;
}

bool IsFor(const CertificateInfo& info, const kube::CertificateSubject& subject) {
  return info.common_name == subject.common_name && info.dns_names == subject.dns_names &&
         info.ip_addresses == subject.ip_addresses;
}

// The certificates of a PEM text, each by itself.
std::vector<std::string_view> SplitPem(std::string_view pem) {
  constexpr std::string_view kEnd = "-----END CERTIFICATE-----";
  std::vector<std::string_view> all;
  while (true) {
    const size_t end = pem.find(kEnd);
    if (end == std::string_view::npos) {
      return all;
    }
    all.push_back(pem.substr(0, end + kEnd.size() + 1));
    pem.remove_prefix(std::min(end + kEnd.size() + 1, pem.size()));
  }
}

// A new authority before the ones that are still valid.
Status RenewAuthority(CertificateSet& set, const CertificatePolicy& policy, WallTime now) {
  FARLET_ASSIGN(std::string key, kube::GeneratePrivateKey());
  // Of different names, so that a verifier does not take one for the other.
  FARLET_ASSIGN(
      std::string bundle,
      kube::MakeCaCertificate(key, {.common_name = "farlet-webhook-ca " + FormatRfc3339Micro(now)},
                              now, policy.ca_lifetime));
  size_t trusted = 1;
  for (const std::string_view old : SplitPem(set.ca_pem)) {
    const auto info = kube::ParseCertificate(old);
    if (info && info->not_after > now && trusted < kMaxTrusted) {
      bundle += old;
      ++trusted;
    }
  }
  set.ca_pem = std::move(bundle);
  set.ca_key_pem = std::move(key);
  return {};
}

Status RenewCertificate(CertificateSet& set, const CertificatePolicy& policy, WallTime now) {
  FARLET_ASSIGN(set.key_pem, kube::GeneratePrivateKey());
  FARLET_ASSIGN(set.certificate_pem,
                kube::IssueCertificate({.certificate_pem = set.ca_pem, .key_pem = set.ca_key_pem},
                                       set.key_pem, policy.subject, now, policy.lifetime));
  return {};
}

Result<std::string> Decoded(const Json& secret, const char* key) {
  const Json::json_pointer at = Json::json_pointer("/data") / key;
  if (!secret.contains(at) || !secret[at].is_string()) {
    return InvalidArgument(fmt::format("data[{}]: is missing", key));
  }
  return Annotate(DecodeBase64(secret[at].get_ref<const std::string&>()),
                  fmt::format("data[{}]", key));
}

}  // namespace

Result<std::optional<CertificateSet>> Renew(const std::optional<CertificateSet>& current,
                                            const CertificatePolicy& policy,
                                            WallTime now) {
  if (!current) {
    CertificateSet made;
    FARLET_TRY(RenewAuthority(made, policy, now));
    FARLET_TRY(RenewCertificate(made, policy, now));
    return std::optional(std::move(made));
  }
  FARLET_ASSIGN(const CertificateInfo authority, kube::ParseCertificate(current->ca_pem));
  FARLET_ASSIGN(const CertificateInfo certificate,
                kube::ParseCertificate(current->certificate_pem));
  CertificateSet next = *current;
  if (IsDue(authority, now)) {
    FARLET_TRY(RenewAuthority(next, policy, now));
    if (certificate.not_after <= now) {
      FARLET_TRY(RenewCertificate(next, policy, now));
    }
    return std::optional(std::move(next));
  }
  const bool settled = now >= MadeAt(authority) + policy.settle;
  const bool unusable = certificate.not_after <= now || !IsFor(certificate, policy.subject);
  if (unusable || (settled && IsDue(certificate, now))) {
    FARLET_TRY(RenewCertificate(next, policy, now));
    return std::optional(std::move(next));
  }
  return std::optional<CertificateSet>();
}

Json SecretOf(const CertificateSet& set) {
  return {{"apiVersion", "v1"},
          {"kind", "Secret"},
          {"type", "kubernetes.io/tls"},
          {"data",
           {{"tls.crt", EncodeBase64(set.certificate_pem)},
            {"tls.key", EncodeBase64(set.key_pem)},
            {"ca.crt", EncodeBase64(set.ca_pem)},
            {"ca.key", EncodeBase64(set.ca_key_pem)}}}};
}

Result<CertificateSet> SetOf(const Json& secret) {
  CertificateSet set;
  FARLET_ASSIGN(set.certificate_pem, Decoded(secret, "tls.crt"));
  FARLET_ASSIGN(set.key_pem, Decoded(secret, "tls.key"));
  FARLET_ASSIGN(set.ca_pem, Decoded(secret, "ca.crt"));
  FARLET_ASSIGN(set.ca_key_pem, Decoded(secret, "ca.key"));
  FARLET_TRY(Annotate(kube::CheckKeyMatches(set.certificate_pem, set.key_pem), "data[tls.crt]"));
  FARLET_TRY(Annotate(kube::CheckKeyMatches(set.ca_pem, set.ca_key_pem), "data[ca.crt]"));
  return set;
}

}  // namespace farlet::webhook
