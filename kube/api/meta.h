#pragma once

#include "runtime/base/clock.h"
#include "runtime/base/result.h"

#include <nlohmann/json_fwd.hpp>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace farlet::kube {

using StringMap = std::map<std::string, std::string>;

struct OwnerReference {
  std::string api_version;
  std::string kind;
  std::string name;
  std::string uid;
  bool controller = false;
};

// metav1.ObjectMeta, the fields we use.
struct ObjectMeta {
  std::string uid;
  std::string object_namespace;
  std::string name;
  std::string resource_version;
  int64_t generation = 0;
  StringMap labels;
  StringMap annotations;
  std::vector<OwnerReference> owners;
  std::optional<WallTime> creation_timestamp;
  std::optional<WallTime> deletion_timestamp;
  std::optional<seconds> deletion_grace_period;
};

// Errors name the field: "metadata.deletionTimestamp: "x" is not an RFC 3339 time".
Result<ObjectMeta> ParseObjectMeta(const nlohmann::json& object);

}  // namespace farlet::kube
