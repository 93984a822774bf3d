#include "kube/http/tls_context.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <arpa/inet.h>

#include <array>
#include <utility>
#include <vector>

namespace farlet::kube::http {
namespace {

template <auto Free>
struct Deleter {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};

using CertificatePtr = std::unique_ptr<X509, Deleter<X509_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using StorePtr = std::unique_ptr<X509_STORE, Deleter<X509_STORE_free>>;
using BioPtr = std::unique_ptr<BIO, Deleter<BIO_free_all>>;

bool IsAddress(const std::string& host) {
  std::array<unsigned char, sizeof(in6_addr)> bytes{};
  return inet_pton(AF_INET, host.c_str(), bytes.data()) == 1 ||
         inet_pton(AF_INET6, host.c_str(), bytes.data()) == 1;
}

Result<std::vector<CertificatePtr>> ParseCertificates(const std::string& pem,
                                                      std::string_view what) {
  ERR_clear_error();
  const BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  std::vector<CertificatePtr> certificates;
  while (X509* certificate = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
    certificates.emplace_back(certificate);
  }
  // What follows the last one: the end of the text is fine, a broken block is not.
  const bool broken = ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE;
  ERR_clear_error();
  if (certificates.empty() || broken) {
    return InvalidArgument(std::string(what) + ": not a PEM certificate");
  }
  return certificates;
}

Result<StorePtr> MakeStore(const std::string& ca_pem) {
  StorePtr store(X509_STORE_new());
  if (ca_pem.empty()) {
    X509_STORE_set_default_paths(store.get());
    return store;
  }
  FARLET_ASSIGN(const auto certificates, ParseCertificates(ca_pem, "CA certificate"));
  for (const CertificatePtr& certificate : certificates) {
    X509_STORE_add_cert(store.get(), certificate.get());
  }
  // As in Go, whatever is in the bundle is trusted: an intermediate or the server's own as well.
  X509_STORE_set_flags(store.get(), X509_V_FLAG_PARTIAL_CHAIN);
  return store;
}

int NoPassphrase(char*, int, int, void*) {
  return -1;
}

Result<KeyPtr> ParseKey(const std::string& pem) {
  const BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  KeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, NoPassphrase, nullptr));
  ERR_clear_error();
  if (!key) {
    return InvalidArgument("client key: not an unencrypted PEM private key");
  }
  return key;
}

int KeepVerdict(int preverified, X509_STORE_CTX*) {
  return preverified;
}

using Owner = std::shared_ptr<TlsContext>;

void FreeOwner(void*, void* owner, CRYPTO_EX_DATA*, int, long, void*) {
  delete static_cast<Owner*>(owner);
}

int OwnerIndex() {
  static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, FreeOwner);
  return index;
}

}  // namespace

struct TlsContext::Parts {
  StorePtr store;
  std::vector<CertificatePtr> chain;  // ours, leaf first
  KeyPtr key;
  std::string name;  // that the server must prove
  bool name_is_address = false;
};

TlsContext::TlsContext(std::unique_ptr<Parts> parts, HandshakeHook hook)
    : parts_(std::move(parts)), hook_(hook) {}

TlsContext::~TlsContext() = default;

Result<std::shared_ptr<TlsContext>> TlsContext::Make(const TlsConfig& config,
                                                     std::string_view host,
                                                     HandshakeHook hook) {
  auto parts = std::make_unique<Parts>();
  parts->name = config.server_name.empty() ? std::string(host) : config.server_name;
  parts->name_is_address = IsAddress(parts->name);
  FARLET_ASSIGN(parts->store, MakeStore(config.ca_pem));
  if (!config.certificate_pem.empty()) {
    FARLET_ASSIGN(parts->chain, ParseCertificates(config.certificate_pem, "client certificate"));
    FARLET_ASSIGN(parts->key, ParseKey(config.key_pem));
    if (X509_check_private_key(parts->chain.front().get(), parts->key.get()) != 1) {
      ERR_clear_error();
      return InvalidArgument("client key: does not belong to the client certificate");
    }
  }
  return std::shared_ptr<TlsContext>(new TlsContext(std::move(parts), hook));
}

bool TlsContext::Apply(SSL_CTX* context) {
  auto owner = std::make_unique<Owner>(shared_from_this());
  if (SSL_CTX_set_ex_data(context, OwnerIndex(), owner.get()) != 1) {
    return false;
  }
  static_cast<void>(owner.release());
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_cert_verify_callback(context, &TlsContext::Verify, this);
  SSL_CTX_set_info_callback(context, &TlsContext::Info);
  SSL_CTX_set1_cert_store(context, parts_->store.get());
  if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1) {
    return false;
  }
  if (!parts_->key) {
    return true;
  }
  bool ok = SSL_CTX_use_certificate(context, parts_->chain.front().get()) == 1 &&
            SSL_CTX_use_PrivateKey(context, parts_->key.get()) == 1;
  for (size_t i = 1; ok && i < parts_->chain.size(); ++i) {
    ok = SSL_CTX_add1_chain_cert(context, parts_->chain[i].get()) == 1;
  }
  return ok;
}

int TlsContext::Verify(X509_STORE_CTX* chain, void* self) {
  auto& context = *static_cast<TlsContext*>(self);
  const Parts& parts = *context.parts_;
  X509_VERIFY_PARAM* param = X509_STORE_CTX_get0_param(chain);
  X509_VERIFY_PARAM_set_hostflags(
      param, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  const bool set = parts.name_is_address
                       ? X509_VERIFY_PARAM_set1_ip_asc(param, parts.name.c_str()) == 1
                       : X509_VERIFY_PARAM_set1_host(param, parts.name.c_str(), 0) == 1;
  X509_STORE_CTX_set_verify_cb(chain, KeepVerdict);
  if (set && X509_verify_cert(chain) == 1) {
    return 1;
  }
  const int error = X509_STORE_CTX_get_error(chain);
  std::string reason = X509_verify_cert_error_string(error);
  if (error == X509_V_ERR_IP_ADDRESS_MISMATCH || error == X509_V_ERR_HOSTNAME_MISMATCH) {
    reason += " (certificate is not for " + parts.name + ")";
  }
  const std::lock_guard lock(context.mutex_);
  context.verify_error_ = std::move(reason);
  return 0;
}

void TlsContext::Info(const SSL* ssl, int where, int /*value*/) {
  if ((where & SSL_CB_HANDSHAKE_START) == 0 || SSL_in_before(ssl) == 0) {
    return;
  }
  auto* connection = const_cast<SSL*>(ssl);
  const auto* owner = static_cast<Owner*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), OwnerIndex()));
  const TlsContext& self = **owner;
  // RFC 6066: no addresses in SNI.
  if (!self.parts_->name_is_address) {
    SSL_set_tlsext_host_name(connection, self.parts_->name.c_str());
  }
  if (self.hook_ != nullptr) {
    self.hook_(connection);
  }
}

std::string TlsContext::TakeVerifyError() {
  const std::lock_guard lock(mutex_);
  return std::exchange(verify_error_, {});
}

}  // namespace farlet::kube::http
