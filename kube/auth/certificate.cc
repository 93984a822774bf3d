#include "kube/auth/certificate.h"

#include "kube/auth/openssl_ptr.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>

#include <arpa/inet.h>

#include <array>
#include <ctime>
#include <utility>

namespace farlet::kube {
namespace {

int NoPassphrase(char*, int, int, void*) {
  return -1;
}

Result<KeyPtr> ParseKey(std::string_view pem) {
  const BioPtr bio = MemoryBio(pem);
  KeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, NoPassphrase, nullptr));
  ERR_clear_error();
  if (!key) {
    return InvalidArgument("private key: not an unencrypted PEM private key");
  }
  return key;
}

Result<CertificatePtr> ParseFirst(std::string_view pem) {
  const BioPtr bio = MemoryBio(pem);
  CertificatePtr certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  ERR_clear_error();
  if (!certificate) {
    return InvalidArgument("certificate: not a PEM certificate");
  }
  return certificate;
}

bool SetName(X509_NAME* name, const CertificateSubject& subject) {
  const auto add = [name](const char* field, const std::string& value) {
    return X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8,
                                      reinterpret_cast<const unsigned char*>(value.data()),
                                      static_cast<int>(value.size()), -1, 0) == 1;
  };
  for (const std::string& organization : subject.organizations) {
    if (!add("O", organization)) {
      return false;
    }
  }
  return add("CN", subject.common_name);
}

Result<std::string> AddressBytes(const std::string& text) {
  std::array<char, sizeof(in6_addr)> bytes{};
  if (inet_pton(AF_INET, text.c_str(), bytes.data()) == 1) {
    return std::string(bytes.data(), sizeof(in_addr));
  }
  if (inet_pton(AF_INET6, text.c_str(), bytes.data()) == 1) {
    return std::string(bytes.data(), bytes.size());
  }
  return InvalidArgument("certificate: " + text + " is not an IP address");
}

std::string AddressText(const ASN1_STRING* bytes) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const int family = ASN1_STRING_length(bytes) == sizeof(in_addr) ? AF_INET : AF_INET6;
  if (family == AF_INET6 && ASN1_STRING_length(bytes) != sizeof(in6_addr)) {
    return {};
  }
  inet_ntop(family, ASN1_STRING_get0_data(bytes), text.data(), text.size());
  return text.data();
}

void PushName(GENERAL_NAMES* names, int type, ASN1_STRING* value, std::string_view bytes) {
  ASN1_STRING_set(value, bytes.data(), static_cast<int>(bytes.size()));
  GENERAL_NAME* name = GENERAL_NAME_new();
  GENERAL_NAME_set0_value(name, type, value);
  sk_GENERAL_NAME_push(names, name);
}

// The subjectAltName extension; null when there are no names.
Result<ExtensionPtr> MakeAltNames(const CertificateSubject& subject) {
  if (subject.dns_names.empty() && subject.ip_addresses.empty()) {
    return ExtensionPtr();
  }
  const NamesPtr names(sk_GENERAL_NAME_new_null());
  for (const std::string& name : subject.dns_names) {
    PushName(names.get(), GEN_DNS, ASN1_IA5STRING_new(), name);
  }
  for (const std::string& address : subject.ip_addresses) {
    FARLET_ASSIGN(const std::string bytes, AddressBytes(address));
    PushName(names.get(), GEN_IPADD, ASN1_OCTET_STRING_new(), bytes);
  }
  return ExtensionPtr(X509V3_EXT_i2d(NID_subject_alt_name, 0, names.get()));
}

std::vector<std::string> NameEntries(const X509* certificate, int nid) {
  std::vector<std::string> values;
  X509_NAME* subject = X509_get_subject_name(certificate);
  for (int i = -1; (i = X509_NAME_get_index_by_NID(subject, nid, i)) >= 0;) {
    const ASN1_STRING* data = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, i));
    values.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(data)),
                        static_cast<size_t>(ASN1_STRING_length(data)));
  }
  return values;
}

WallTime ToTime(const ASN1_TIME* time) {
  std::tm parts{};
  ASN1_TIME_to_tm(time, &parts);
  return std::chrono::system_clock::from_time_t(timegm(&parts));
}

bool AddExtension(X509* certificate, int nid, const char* value) {
  const ExtensionPtr extension(X509V3_EXT_conf_nid(nullptr, nullptr, nid, value));
  return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

// What MakeCertificate() makes.
struct CertificatePlan {
  EVP_PKEY* key = nullptr;
  const CertificateSubject& subject;
  WallTime now;
  seconds lifetime;
  X509_NAME* issuer = nullptr;  // null: the subject, which signs itself
  EVP_PKEY* issuer_key = nullptr;
  std::vector<std::pair<int, const char*>> extensions{{NID_key_usage, "critical,digitalSignature"},
                                                      {NID_ext_key_usage, "serverAuth"}};
};

bool AddExtensions(X509* certificate, const CertificatePlan& plan, X509_EXTENSION* alt_names) {
  for (const auto& [nid, value] : plan.extensions) {
    if (!AddExtension(certificate, nid, value)) {
      return false;
    }
  }
  return alt_names == nullptr || X509_add_ext(certificate, alt_names, -1) == 1;
}

// Valid from an hour before `now`, as clocks differ.
Result<std::string> MakeCertificate(const CertificatePlan& plan) {
  FARLET_ASSIGN(const ExtensionPtr alt_names, MakeAltNames(plan.subject));
  const CertificatePtr certificate(X509_new());
  uint64_t serial = 0;
  RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof(serial));
  ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate.get()), serial >> 1);
  X509_set_version(certificate.get(), X509_VERSION_3);
  ASN1_TIME_set(X509_getm_notBefore(certificate.get()),
                std::chrono::system_clock::to_time_t(plan.now - std::chrono::hours(1)));
  ASN1_TIME_set(X509_getm_notAfter(certificate.get()),
                std::chrono::system_clock::to_time_t(plan.now + plan.lifetime));
  X509_NAME* own_name = X509_get_subject_name(certificate.get());
  const bool ok = SetName(own_name, plan.subject) &&
                  X509_set_issuer_name(certificate.get(),
                                       plan.issuer == nullptr ? own_name : plan.issuer) == 1 &&
                  X509_set_pubkey(certificate.get(), plan.key) == 1 &&
                  AddExtensions(certificate.get(), plan, alt_names.get());
  EVP_PKEY* signer = plan.issuer_key == nullptr ? plan.key : plan.issuer_key;
  const BioPtr bio(BIO_new(BIO_s_mem()));
  if (!ok || X509_sign(certificate.get(), signer, EVP_sha256()) <= 0 ||
      PEM_write_bio_X509(bio.get(), certificate.get()) != 1) {
    ERR_clear_error();
    return InvalidArgument("certificate for " + plan.subject.common_name +
                           ": OpenSSL refused the subject");
  }
  return TextOf(bio.get());
}

}  // namespace

Result<std::string> GeneratePrivateKey() {
  const KeyPtr key(EVP_EC_gen("P-256"));
  const BioPtr bio(BIO_new(BIO_s_mem()));
  if (!key || PEM_write_bio_PKCS8PrivateKey(bio.get(), key.get(), nullptr, nullptr, 0, nullptr,
                                            nullptr) != 1) {
    return Internal("generate a private key: OpenSSL failed");
  }
  return TextOf(bio.get());
}

Result<std::string> MakeCertificateRequest(std::string_view key_pem,
                                           const CertificateSubject& subject) {
  FARLET_ASSIGN(const KeyPtr key, ParseKey(key_pem));
  FARLET_ASSIGN(const ExtensionPtr alt_names, MakeAltNames(subject));
  const RequestPtr request(X509_REQ_new());
  bool ok = SetName(X509_REQ_get_subject_name(request.get()), subject) &&
            X509_REQ_set_pubkey(request.get(), key.get()) == 1;
  if (ok && alt_names) {
    STACK_OF(X509_EXTENSION)* extensions = sk_X509_EXTENSION_new_null();
    sk_X509_EXTENSION_push(extensions, alt_names.get());
    ok = X509_REQ_add_extensions(request.get(), extensions) == 1;
    sk_X509_EXTENSION_free(extensions);
  }
  const BioPtr bio(BIO_new(BIO_s_mem()));
  if (!ok || X509_REQ_sign(request.get(), key.get(), EVP_sha256()) <= 0 ||
      PEM_write_bio_X509_REQ(bio.get(), request.get()) != 1) {
    ERR_clear_error();
    return InvalidArgument("certificate request for " + subject.common_name +
                           ": OpenSSL refused the subject");
  }
  return TextOf(bio.get());
}

Result<std::string> MakeSelfSignedCertificate(std::string_view key_pem,
                                              const CertificateSubject& subject,
                                              WallTime now,
                                              seconds lifetime) {
  FARLET_ASSIGN(const KeyPtr key, ParseKey(key_pem));
  return MakeCertificate({.key = key.get(), .subject = subject, .now = now, .lifetime = lifetime});
}

Result<std::string> MakeCaCertificate(std::string_view key_pem,
                                      const CertificateSubject& subject,
                                      WallTime now,
                                      seconds lifetime) {
  FARLET_ASSIGN(const KeyPtr key, ParseKey(key_pem));
  return MakeCertificate({.key = key.get(),
                          .subject = subject,
                          .now = now,
                          .lifetime = lifetime,
                          .extensions = {{NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
                                         {NID_key_usage, "critical,keyCertSign"}}});
}

Result<std::string> IssueCertificate(const Issuer& issuer,
                                     std::string_view key_pem,
                                     const CertificateSubject& subject,
                                     WallTime now,
                                     seconds lifetime) {
  FARLET_TRY(Annotate(CheckKeyMatches(issuer.certificate_pem, issuer.key_pem), "issuer"));
  FARLET_ASSIGN(const CertificatePtr issuer_certificate, ParseFirst(issuer.certificate_pem));
  FARLET_ASSIGN(const KeyPtr issuer_key, ParseKey(issuer.key_pem));
  FARLET_ASSIGN(const KeyPtr key, ParseKey(key_pem));
  return MakeCertificate({.key = key.get(),
                          .subject = subject,
                          .now = now,
                          .lifetime = lifetime,
                          .issuer = X509_get_subject_name(issuer_certificate.get()),
                          .issuer_key = issuer_key.get()});
}

Result<CertificateInfo> ParseCertificate(std::string_view pem) {
  FARLET_ASSIGN(const CertificatePtr certificate, ParseFirst(pem));
  CertificateInfo info;
  const auto common_names = NameEntries(certificate.get(), NID_commonName);
  info.common_name = common_names.empty() ? std::string() : common_names.back();
  info.organizations = NameEntries(certificate.get(), NID_organizationName);
  info.not_before = ToTime(X509_get0_notBefore(certificate.get()));
  info.not_after = ToTime(X509_get0_notAfter(certificate.get()));
  const NamesPtr names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate.get(), NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    int type = 0;
    const auto* value = static_cast<const ASN1_STRING*>(
        GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names.get(), i), &type));
    if (type == GEN_DNS) {
      info.dns_names.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(value)),
                                  static_cast<size_t>(ASN1_STRING_length(value)));
    } else if (type == GEN_IPADD) {
      info.ip_addresses.push_back(AddressText(value));
    }
  }
  return info;
}

Status CheckKeyMatches(std::string_view certificate_pem, std::string_view key_pem) {
  FARLET_ASSIGN(const CertificatePtr certificate, ParseFirst(certificate_pem));
  FARLET_ASSIGN(const KeyPtr key, ParseKey(key_pem));
  const bool matches = X509_check_private_key(certificate.get(), key.get()) == 1;
  ERR_clear_error();
  return matches ? Status() : InvalidArgument("private key: does not belong to the certificate");
}

}  // namespace farlet::kube
