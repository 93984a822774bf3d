#pragma once

#include "kube/api/meta.h"

#include <nlohmann/json_fwd.hpp>

#include <string>

namespace farlet::kube {

// node.k8s.io/v1 RuntimeClass, as far as a node needs it: its overhead and scheduling are put into
// the pod by admission.
struct RuntimeClass {
  ObjectMeta meta;
  std::string handler;  // the runtime's name for it

  // kInvalidArgument when `handler` is missing.
  static Result<RuntimeClass> FromJson(nlohmann::json object);
};

}  // namespace farlet::kube
