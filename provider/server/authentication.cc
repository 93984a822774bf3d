#include "provider/server/authentication.h"

#include "runtime/base/log.h"

#include <openssl/sha.h>

#include <algorithm>
#include <string_view>

namespace farlet::server {
namespace {

constexpr std::string_view kAuthenticated = "system:authenticated";
constexpr std::string_view kScheme = "bearer ";
constexpr size_t kMaxToken = 64 * 1024;

std::string Digest(const std::string& token) {
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  SHA256(reinterpret_cast<const unsigned char*>(token.data()), token.size(),
         reinterpret_cast<unsigned char*>(digest.data()));
  return digest;
}

// The token of "Bearer TOKEN"; empty when there is none.
std::string BearerToken(std::string_view header) {
  if (header.size() <= kScheme.size() || header.size() > kMaxToken) {
    return {};
  }
  for (size_t i = 0; i < kScheme.size(); ++i) {
    const char lower =
        header[i] >= 'A' && header[i] <= 'Z' ? static_cast<char>(header[i] + 32) : header[i];
    if (lower != kScheme[i]) {
      return {};
    }
  }
  header.remove_prefix(kScheme.size());
  const size_t begin = header.find_first_not_of(' ');
  if (begin == std::string_view::npos) {
    return {};
  }
  header.remove_prefix(begin);
  const std::string_view token = header.substr(0, header.find(' '));
  const bool printable = std::all_of(token.begin(), token.end(),
                                     [](char letter) { return letter > ' ' && letter < '\x7f'; });
  return printable ? std::string(token) : std::string();
}

User WithAuthenticatedGroup(User user) {
  if (std::find(user.groups.begin(), user.groups.end(), kAuthenticated) == user.groups.end()) {
    user.groups.emplace_back(kAuthenticated);
  }
  return user;
}

}  // namespace

Authenticator::Authenticator(AuthenticationOptions options, TokenReview review, const Clock& clock)
    : options_(options),
      review_(std::move(review)),
      cache_(std::make_shared<Cache>(clock, options.capacity)) {}

void Authenticator::Authenticate(const Credentials& credentials,
                                 std::function<void(std::optional<User>)> done) const {
  if (credentials.certificate_user) {
    done(WithAuthenticatedGroup(*credentials.certificate_user));
    return;
  }
  const std::string token = BearerToken(credentials.authorization);
  if (!token.empty() && review_) {
    AuthenticateToken(token, std::move(done));
    return;
  }
  // A credential that is not understood is not a request for anonymous access.
  done(credentials.authorization.empty() ? Anonymous() : std::nullopt);
}

void Authenticator::AuthenticateToken(const std::string& token,
                                      std::function<void(std::optional<User>)> done) const {
  std::string key = Digest(token);
  if (auto known = cache_->Get(key)) {
    done(std::move(*known));
    return;
  }
  review_(token, [cache = cache_, options = options_, key = std::move(key),
                  done = std::move(done)](Result<std::optional<User>> answer) {
    if (!answer) {
      log::Warning("token review failed", {{"error", answer.error()}});
      done(std::nullopt);
      return;
    }
    std::optional<User> user = std::move(*answer);
    if (user) {
      user = WithAuthenticatedGroup(std::move(*user));
    }
    cache->Put(key, user, user ? options.token_lifetime : options.refused_lifetime);
    done(std::move(user));
  });
}

std::optional<User> Authenticator::Anonymous() const {
  if (!options_.anonymous) {
    return std::nullopt;
  }
  return User{.name = "system:anonymous", .groups = {"system:unauthenticated"}};
}

}  // namespace farlet::server
