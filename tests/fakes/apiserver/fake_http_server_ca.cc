#include "tests/fakes/apiserver/fake_http_server_ca.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <cstdlib>

namespace farlet::testing {
namespace {

void Require(bool ok, const char* what) {
  if (!ok) {
    std::fprintf(stderr, "fake CA: %s failed\n", what);
    std::abort();
  }
}

template <auto Free>
struct Deleter {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};

using KeyPtr = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using CertPtr = std::unique_ptr<X509, Deleter<X509_free>>;
using RequestPtr = std::unique_ptr<X509_REQ, Deleter<X509_REQ_free>>;
using BioPtr = std::unique_ptr<BIO, Deleter<BIO_free_all>>;
using ExtensionPtr = std::unique_ptr<X509_EXTENSION, Deleter<X509_EXTENSION_free>>;

std::string Text(BIO* bio) {
  char* data = nullptr;
  const auto size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<size_t>(size)};
}

std::string Pem(X509* certificate) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  Require(PEM_write_bio_X509(bio.get(), certificate) == 1, "writing a certificate");
  return Text(bio.get());
}

void AddName(X509_NAME* name, const char* field, std::string_view value) {
  Require(X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8,
                                     reinterpret_cast<const unsigned char*>(value.data()),
                                     static_cast<int>(value.size()), -1, 0) == 1,
          "setting a name");
}

void AddExtension(X509* certificate, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  const ExtensionPtr extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  Require(extension && X509_add_ext(certificate, extension.get(), -1) == 1, "adding an extension");
}

CertPtr NewCertificate(EVP_PKEY* key,
                       std::chrono::seconds not_before,
                       std::chrono::seconds not_after) {
  CertPtr certificate(X509_new());
  uint64_t serial = 0;
  RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof(serial));
  ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate.get()), serial >> 1);
  X509_set_version(certificate.get(), X509_VERSION_3);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), static_cast<long>(not_before.count()));
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), static_cast<long>(not_after.count()));
  X509_set_pubkey(certificate.get(), key);
  return certificate;
}

}  // namespace

class FakeCa::Impl {
 public:
  KeyPtr key;
  CertPtr certificate;
  std::string pem;

  std::string Finish(X509* issued) const {
    X509_set_issuer_name(issued, X509_get_subject_name(certificate.get()));
    Require(X509_sign(issued, key.get(), EVP_sha256()) > 0, "signing");
    return Pem(issued);
  }
};

FakeCa::FakeCa(std::string_view common_name) : impl_(std::make_unique<Impl>()) {
  impl_->key.reset(EVP_EC_gen("P-256"));
  impl_->certificate =
      NewCertificate(impl_->key.get(), std::chrono::hours(-1), std::chrono::hours(24));
  X509* certificate = impl_->certificate.get();
  AddName(X509_get_subject_name(certificate), "CN", common_name);
  AddExtension(certificate, NID_basic_constraints, "critical,CA:TRUE");
  AddExtension(certificate, NID_key_usage, "critical,keyCertSign,cRLSign");
  impl_->pem = impl_->Finish(certificate);
}

FakeCa::~FakeCa() = default;

const std::string& FakeCa::certificate_pem() const {
  return impl_->pem;
}

FakeCertificate FakeCa::Issue(const FakeCertificateOptions& options) const {
  const KeyPtr key(EVP_EC_gen("P-256"));
  const CertPtr certificate = NewCertificate(key.get(), options.not_before, options.not_after);
  X509_NAME* subject = X509_get_subject_name(certificate.get());
  for (const std::string& organization : options.organizations) {
    AddName(subject, "O", organization);
  }
  AddName(subject, "CN", options.common_name);
  std::string names;
  for (const std::string& name : options.dns_names) {
    names += (names.empty() ? "DNS:" : ",DNS:") + name;
  }
  for (const std::string& address : options.ip_addresses) {
    names += (names.empty() ? "IP:" : ",IP:") + address;
  }
  if (!names.empty()) {
    AddExtension(certificate.get(), NID_subject_alt_name, names);
  }
  AddExtension(certificate.get(), NID_ext_key_usage, "serverAuth,clientAuth");
  const BioPtr bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_PKCS8PrivateKey(bio.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  return {.certificate_pem = impl_->Finish(certificate.get()), .key_pem = Text(bio.get())};
}

std::string FakeCa::Sign(std::string_view csr_pem,
                         std::chrono::seconds not_before,
                         std::chrono::seconds not_after) const {
  const BioPtr bio(BIO_new_mem_buf(csr_pem.data(), static_cast<int>(csr_pem.size())));
  const RequestPtr request(PEM_read_bio_X509_REQ(bio.get(), nullptr, nullptr, nullptr));
  Require(request != nullptr, "reading the CSR");
  EVP_PKEY* key = X509_REQ_get0_pubkey(request.get());
  Require(X509_REQ_verify(request.get(), key) == 1, "verifying the CSR");
  const CertPtr certificate = NewCertificate(key, not_before, not_after);
  X509_set_subject_name(certificate.get(), X509_REQ_get_subject_name(request.get()));
  STACK_OF(X509_EXTENSION)* extensions = X509_REQ_get_extensions(request.get());
  for (int i = 0; i < sk_X509_EXTENSION_num(extensions); ++i) {
    X509_add_ext(certificate.get(), sk_X509_EXTENSION_value(extensions, i), -1);
  }
  sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
  return impl_->Finish(certificate.get());
}

}  // namespace farlet::testing
