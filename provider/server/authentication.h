#pragma once

#include "provider/server/expiring_cache.h"
#include "runtime/base/result.h"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace farlet::server {

struct User {
  std::string name;
  std::string uid;
  std::vector<std::string> groups;
  std::map<std::string, std::vector<std::string>> extra;
};

// Asks who a bearer token belongs to (authentication.k8s.io/v1 TokenReview): nobody when it is not
// valid. Must not block; calls back exactly once, from any thread.
using TokenReview =
    std::function<void(const std::string& token, Callback<std::optional<User>> done)>;

// What a connection and a request bring along.
struct Credentials {
  // From a client certificate that the client CA vouches for: CN and Os.
  std::optional<User> certificate_user;
  std::string authorization;  // the header
};

struct AuthenticationOptions {
  bool anonymous = false;
  std::chrono::seconds token_lifetime{120};
  // How long a refused token is remembered.
  std::chrono::seconds refused_lifetime{10};
  size_t capacity = 1024;
};

// Certificate, then token, then anonymous when allowed. Thread safe. Tokens are kept only as their
// SHA-256.
class Authenticator {
 public:
  // `review` may be null: tokens are refused then.
  Authenticator(AuthenticationOptions options, TokenReview review, const Clock& clock);

  // Nobody: 401. Errors of the review are logged and count as nobody. `done` may run before this
  // returns, and after this object has been destroyed.
  void Authenticate(const Credentials& credentials,
                    std::function<void(std::optional<User>)> done) const;

 private:
  using Cache = ExpiringCache<std::optional<User>>;

  void AuthenticateToken(const std::string& token,
                         std::function<void(std::optional<User>)> done) const;
  std::optional<User> Anonymous() const;

  const AuthenticationOptions options_;
  const TokenReview review_;
  const std::shared_ptr<Cache> cache_;
};

}  // namespace farlet::server
