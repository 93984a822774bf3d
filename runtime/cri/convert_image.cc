#include "runtime/cri/convert.h"

namespace farlet::cri {

void ToImageAuth(const ImageAuth& from, pb::AuthConfig* to) {
  to->set_username(from.username);
  to->set_password(from.password);
  to->set_auth(from.auth);
  to->set_server_address(from.server_address);
  to->set_identity_token(from.identity_token);
  to->set_registry_token(from.registry_token);
}

Result<Image> FromImage(const pb::Image& from, std::string_view call) {
  if (from.id().empty()) {
    return MissingField(call, "an image's id");
  }
  Image image{.id = from.id(),
              .repo_tags = {from.repo_tags().begin(), from.repo_tags().end()},
              .repo_digests = {from.repo_digests().begin(), from.repo_digests().end()},
              .size_bytes = from.size(),
              .username = from.username()};
  if (from.has_uid()) {
    image.uid = from.uid().value();
  }
  return image;
}

}  // namespace farlet::cri
