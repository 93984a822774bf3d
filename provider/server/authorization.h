#pragma once

#include "provider/server/authentication.h"

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace farlet::server {

// Asks whether `user` may `verb` the node's `subresource` (authorization.k8s.io/v1
// SubjectAccessReview: version v1, resource nodes, the node's name). Must not block; calls back
// exactly once, from any thread.
using SubjectAccessReview = std::function<void(const User& user,
                                               const std::string& verb,
                                               const std::string& subresource,
                                               Callback<bool> done)>;

// The API verb of an HTTP method: "get", "create", "update", "patch", "delete"; else empty.
std::string ApiVerb(std::string_view method);

// The subresources of nodes that stand for a path, any of which is enough: the kubelet's table with
// KubeletFineGrainedAuthz ("pods", then "proxy").
std::vector<std::string> Subresources(std::string_view path);

struct AuthorizationOptions {
  std::chrono::seconds allowed_lifetime{300};
  std::chrono::seconds denied_lifetime{30};
  size_t capacity = 4096;
};

struct AuthorizationVerdict {
  bool allowed = false;
  int status = 0;       // of the answer when not allowed: 403, or 500 when nobody could be asked
  std::string message;  // its body
};

// Thread safe.
class Authorizer {
 public:
  // A null `review` refuses everything.
  Authorizer(AuthorizationOptions options, SubjectAccessReview review, const Clock& clock);

  // `done` may run before this returns, and after this object has been destroyed.
  void Authorize(const User& user,
                 std::string_view method,
                 std::string_view path,
                 std::function<void(AuthorizationVerdict)> done) const;

 private:
  struct Shared;
  struct Question;

  static void Ask(const std::shared_ptr<Question>& question);
  static void OnReview(const std::shared_ptr<Question>& question,
                       const std::string& key,
                       const std::string& subresource,
                       const Result<bool>& allowed);

  const std::shared_ptr<Shared> shared_;
};

}  // namespace farlet::server
