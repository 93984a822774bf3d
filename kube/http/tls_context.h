#pragma once

#include "kube/http/transport.h"

#include <openssl/types.h>

#include <memory>
#include <mutex>
#include <string>

namespace farlet::kube::http {

// A TlsConfig, parsed once, that is put on the SSL_CTX of every new connection. Private to the
// transport. Immutable but for the last error; thread safe.
//
// It replaces the whole verification: OpenSSL checks chain, dates, purpose and the name (IP SANs
// for an address, DNS SANs else, never the common name), whatever callback the HTTP library sets on
// top. The library must keep SSL_VERIFY_PEER on.
class TlsContext : public std::enable_shared_from_this<TlsContext> {
 public:
  // Called with the connected SSL before its first handshake message.
  using HandshakeHook = void (*)(SSL*);

  // kInvalidArgument when a certificate or key is malformed or they do not belong together.
  static Result<std::shared_ptr<TlsContext>> Make(const TlsConfig& config,
                                                  std::string_view host,
                                                  HandshakeHook hook);
  ~TlsContext();

  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  // Takes over `context`, which keeps this object alive. False on an OpenSSL failure.
  bool Apply(SSL_CTX* context);

  // Why the last verification failed ("certificate has expired"), empty when none has since.
  std::string TakeVerifyError();

 private:
  struct Parts;

  TlsContext(std::unique_ptr<Parts> parts, HandshakeHook hook);

  static int Verify(X509_STORE_CTX* chain, void* self);
  static void Info(const SSL* ssl, int where, int value);

  const std::unique_ptr<Parts> parts_;
  const HandshakeHook hook_;
  std::mutex mutex_;  // guards verify_error_
  std::string verify_error_;
};

}  // namespace farlet::kube::http
