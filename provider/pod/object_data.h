#pragma once

#include "runtime/base/result.h"

#include <nlohmann/json_fwd.hpp>

#include <map>
#include <string>

namespace farlet::pod {

using DataMap = std::map<std::string, std::string>;

// `data` of a ConfigMap. Errors of this header: kInvalidArgument naming the key.
Result<DataMap> ConfigMapData(const nlohmann::json& config_map);
// The same with the decoded binaryData, as files.
Result<DataMap> ConfigMapFiles(const nlohmann::json& config_map);
// The decoded `data` of a Secret.
Result<DataMap> SecretData(const nlohmann::json& secret);

}  // namespace farlet::pod
