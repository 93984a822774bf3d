#include "provider/server/client_ca.h"

#include "runtime/base/file.h"
#include "runtime/base/log.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <sys/stat.h>

#include <utility>
#include <vector>

namespace farlet::server {
namespace {

constexpr seconds kLookInterval{1};
constexpr size_t kMaxBundle = 4u << 20;

template <class T, void (*Free)(T*)>
struct Freeing {
  void operator()(T* object) const { Free(object); }
};

using CertificatePtr = std::unique_ptr<X509, Freeing<X509, X509_free>>;
using StoreContextPtr =
    std::unique_ptr<X509_STORE_CTX, Freeing<X509_STORE_CTX, X509_STORE_CTX_free>>;

// All values of one kind in a name, in order. Values that hide a NUL count for nothing.
std::vector<std::string> NameEntries(X509_NAME* name, int nid) {
  std::vector<std::string> values;
  for (int index = X509_NAME_get_index_by_NID(name, nid, -1); index >= 0;
       index = X509_NAME_get_index_by_NID(name, nid, index)) {
    const ASN1_STRING* data = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, index));
    unsigned char* text = nullptr;
    const int size = ASN1_STRING_to_UTF8(&text, data);
    if (size < 0) {
      continue;
    }
    std::string value(reinterpret_cast<char*>(text), static_cast<size_t>(size));
    OPENSSL_free(text);
    if (value.find('\0') == std::string::npos) {
      values.push_back(std::move(value));
    }
  }
  return values;
}

}  // namespace

void ClientCa::FreeStore::operator()(X509_STORE* store) const {
  X509_STORE_free(store);
}

ClientCa::ClientCa(std::string path, const Clock& clock) : path_(std::move(path)), clock_(clock) {}

std::optional<User> ClientCa::Identify(SSL* tls) {
  if (path_.empty() || tls == nullptr) {
    return std::nullopt;
  }
  const CertificatePtr leaf(SSL_get1_peer_certificate(tls));
  if (!leaf) {
    return std::nullopt;
  }
  Refresh();
  if (!store_) {
    return std::nullopt;
  }
  const StoreContextPtr context(X509_STORE_CTX_new());
  if (!context ||
      X509_STORE_CTX_init(context.get(), store_.get(), leaf.get(), SSL_get_peer_cert_chain(tls)) !=
          1 ||
      X509_STORE_CTX_set_purpose(context.get(), X509_PURPOSE_SSL_CLIENT) != 1 ||
      X509_verify_cert(context.get()) != 1) {
    const int code = context ? X509_STORE_CTX_get_error(context.get()) : 0;
    log::Debug("client certificate refused", {{"reason", X509_verify_cert_error_string(code)}});
    ERR_clear_error();
    return std::nullopt;
  }
  X509_NAME* subject = X509_get_subject_name(leaf.get());
  std::vector<std::string> names = NameEntries(subject, NID_commonName);
  if (names.empty() || names.back().empty()) {
    return std::nullopt;
  }
  return User{.name = std::move(names.back()),
              .groups = NameEntries(subject, NID_organizationName)};
}

void ClientCa::Refresh() {
  const SteadyTime now = clock_.Now();
  if (looked_at_ && now - *looked_at_ < kLookInterval) {
    return;
  }
  looked_at_ = now;

  struct stat info {};

  if (::stat(path_.c_str(), &info) != 0) {
    if (std::exchange(version_, Version()) != Version() || !store_) {
      log::Warning("client CA cannot be read", {{"path", path_}});
    }
    return;
  }
  const Version version{info.st_mtim.tv_sec * 1'000'000'000 + info.st_mtim.tv_nsec, info.st_size,
                        info.st_ino};
  if (version == version_) {
    return;
  }
  version_ = version;
  const auto pem = ReadFile(path_, kMaxBundle);
  StorePtr store = pem ? ParseBundle(*pem) : nullptr;
  if (!store) {
    log::Warning("client CA is not a PEM bundle of certificates", {{"path", path_}});
    return;
  }
  store_ = std::move(store);
}

ClientCa::StorePtr ClientCa::ParseBundle(const std::string& pem) {
  StorePtr store(X509_STORE_new());
  const std::unique_ptr<BIO, Freeing<BIO, BIO_free_all>> input(
      BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  if (!store || !input) {
    return nullptr;
  }
  // As in Go, a bundle may hold an intermediate authority without its root.
  X509_STORE_set_flags(store.get(), X509_V_FLAG_PARTIAL_CHAIN);
  int count = 0;
  while (true) {
    const CertificatePtr certificate(PEM_read_bio_X509(input.get(), nullptr, nullptr, nullptr));
    if (!certificate) {
      break;
    }
    if (X509_STORE_add_cert(store.get(), certificate.get()) != 1) {
      ERR_clear_error();
      return nullptr;
    }
    ++count;
  }
  const bool complete = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  return complete && count > 0 ? std::move(store) : nullptr;
}

}  // namespace farlet::server
