#pragma once

#include "runtime/base/result.h"

#include <cstdint>
#include <memory>
#include <string>

namespace farlet::kube {

// What identifies us to the API server, and what we trust it by, at one moment. Immutable.
struct Credential {
  std::string bearer_token;     // empty: none
  std::string certificate_pem;  // empty: none
  std::string key_pem;
  std::string ca_pem;  // empty: the system's roots
  // Grows with every change of anything above …
  uint64_t generation = 0;
  // … and of what concerns TLS, that is everything but the token.
  uint64_t tls_generation = 0;

  Credential() = default;
  Credential(const Credential&) = default;
  Credential& operator=(const Credential&) = default;
  // Wipes token and key.
  ~Credential();
};

using CredentialPtr = std::shared_ptr<const Credential>;

// Yields the current credential and notices when it changes (files that are replaced, tokens and
// certificates that expire). Thread safe.
class Credentials {
 public:
  virtual ~Credentials() = default;

  // Calls `done` once: at once when the credential is at hand, which is nearly always; from another
  // thread when a credential plugin has to be run first. It must not block. While a file cannot be
  // read or a plugin fails, the last good credential stays in use as long as it is valid.
  virtual void Get(Callback<CredentialPtr> done) = 0;

  // The server answered 401 to `generation`: the next Get() looks again instead of answering from
  // memory. Nothing happens when that credential has been replaced already.
  virtual void Invalidate(uint64_t generation) = 0;
};

}  // namespace farlet::kube
