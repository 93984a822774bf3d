#include "kube/api/runtime_class.h"

#include <nlohmann/json.hpp>

namespace farlet::kube {

Result<RuntimeClass> RuntimeClass::FromJson(nlohmann::json object) {
  RuntimeClass result;
  FARLET_ASSIGN(result.meta, ParseObjectMeta(object));
  const auto handler = object.find("handler");
  if (handler == object.end() || !handler->is_string() || handler->get<std::string>().empty()) {
    return InvalidArgument("handler: must be a non-empty string");
  }
  result.handler = handler->get<std::string>();
  return result;
}

}  // namespace farlet::kube
