#pragma once

#include "provider/server/authentication.h"
#include "runtime/base/clock.h"

#include <openssl/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace farlet::server {

// Judges client certificates by a PEM bundle on disk, which is read again when it has changed
// (looked at once a second at most; an unreadable or malformed one leaves the last good one in
// place). One thread at a time.
class ClientCa {
 public:
  // Empty path: no certificate is accepted.
  ClientCa(std::string path, const Clock& clock);

  // Who the peer of `tls` is: CN and Os of its certificate when it chains to the bundle, is valid
  // now and may be used by clients. The judgement is made anew in every call.
  std::optional<User> Identify(SSL* tls);

 private:
  struct FreeStore {
    void operator()(X509_STORE* store) const;
  };

  using StorePtr = std::unique_ptr<X509_STORE, FreeStore>;

  // What tells one content of the file from another.
  struct Version {
    int64_t modified_ns = 0;
    int64_t size = -1;
    uint64_t inode = 0;

    bool operator==(const Version&) const = default;
  };

  void Refresh();
  static StorePtr ParseBundle(const std::string& pem);

  const std::string path_;
  const Clock& clock_;
  std::optional<SteadyTime> looked_at_;
  Version version_;
  StorePtr store_;
};

}  // namespace farlet::server
