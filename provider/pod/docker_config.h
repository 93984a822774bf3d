#pragma once

#include "runtime/base/result.h"
#include "runtime/cri/types.h"

#include <map>
#include <string>
#include <string_view>

namespace farlet::pod {

// Credentials by registry, as `docker login` writes them. Error kInvalidArgument when the text is
// not such a file; an entry that is malformed is left out.
using DockerConfig = std::map<std::string, cri::ImageAuth>;

Result<DockerConfig> ParseDockerConfigJson(std::string_view text);  // {"auths": {…}}
Result<DockerConfig> ParseDockerCfg(std::string_view text);         // the older form: {…}

// "https://index.docker.io/v1/" → "index.docker.io": without scheme and API version.
std::string RegistryKey(std::string_view server);

}  // namespace farlet::pod
