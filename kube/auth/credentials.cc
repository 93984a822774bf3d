#include "kube/auth/credentials.h"

#include <openssl/crypto.h>

namespace farlet::kube {

Credential::~Credential() {
  OPENSSL_cleanse(bearer_token.data(), bearer_token.size());
  OPENSSL_cleanse(key_pem.data(), key_pem.size());
}

}  // namespace farlet::kube
