#pragma once

#include "kube/client/client.h"
#include "provider/server/authentication.h"
#include "provider/server/authorization.h"

#include <string>

namespace farlet::server {

// Ask the API server. `client` outlives the functions. An answer without the fields that it must
// have is an error (kInternal), which admits nobody; errors never carry the token.
TokenReview MakeTokenReview(kube::Client& client);
SubjectAccessReview MakeSubjectAccessReview(kube::Client& client, std::string node_name);

}  // namespace farlet::server
