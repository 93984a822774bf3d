#include "provider/server/tls_context.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <string_view>

namespace farlet::server {
namespace {

constexpr std::string_view kHttp11 = "\x08http/1.1";

int SelectProtocol(SSL* /*ssl*/,
                   const unsigned char** selected,
                   unsigned char* selected_size,
                   const unsigned char* offered,
                   unsigned int offered_size,
                   void* /*context*/) {
  const auto* ours = reinterpret_cast<const unsigned char*>(kHttp11.data());
  unsigned char* match = nullptr;
  if (SSL_select_next_proto(&match, selected_size, ours, kHttp11.size(), offered, offered_size) !=
      OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_NOACK;
  }
  *selected = match;
  return SSL_TLSEXT_ERR_OK;
}

int AcceptAnyCertificate(X509_STORE_CTX* /*store*/, void* /*context*/) {
  return 1;
}

void Configure(SSL_CTX* context) {
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION |
                                   SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context, 0);
  // Idle connections give their buffers back.
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_alpn_select_cb(context, SelectProtocol, nullptr);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_cert_verify_callback(context, AcceptAnyCertificate, nullptr);
}

Error TlsError(std::string_view what, const ErrorCode& error) {
  ERR_clear_error();
  return InvalidArgument(std::string(what) + ": " + error.message());
}

}  // namespace

Result<ClientStream::TlsContext> MakeTlsContext(const std::string& certificate_pem,
                                                const std::string& key_pem) {
  auto context = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_server);
  Configure(context->native_handle());
  ErrorCode error;
  context->use_certificate_chain(asio::buffer(certificate_pem), error);
  if (error) {
    return TlsError("serving certificate", error);
  }
  context->use_private_key(asio::buffer(key_pem), asio::ssl::context::pem, error);
  if (error) {
    return TlsError("serving key", error);
  }
  if (SSL_CTX_check_private_key(context->native_handle()) != 1) {
    ERR_clear_error();
    return InvalidArgument("serving key: it does not belong to the certificate");
  }
  return context;
}

}  // namespace farlet::server
