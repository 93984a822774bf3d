#include "provider/pod/object_data.h"

#include "runtime/base/base64.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <utility>

namespace farlet::pod {
namespace {

using Json = nlohmann::json;

Status AddData(const Json& object, const char* field, bool encoded, DataMap& out) {
  const auto data = object.find(field);
  if (data == object.end() || data->is_null()) {
    return {};
  }
  if (!data->is_object()) {
    return InvalidArgument(fmt::format("{}: must be an object", field));
  }
  for (const auto& [key, value] : data->items()) {
    if (!value.is_string()) {
      return InvalidArgument(fmt::format("{}[{}]: must be a string", field, key));
    }
    std::string text = value.get<std::string>();
    if (encoded) {
      FARLET_ASSIGN(text, Annotate(DecodeBase64(text), fmt::format("{}[{}]", field, key)));
    }
    out[key] = std::move(text);
  }
  return {};
}

}  // namespace

Result<DataMap> ConfigMapData(const Json& config_map) {
  DataMap data;
  FARLET_TRY(AddData(config_map, "data", false, data));
  return data;
}

Result<DataMap> ConfigMapFiles(const Json& config_map) {
  DataMap data;
  FARLET_TRY(AddData(config_map, "data", false, data));
  FARLET_TRY(AddData(config_map, "binaryData", true, data));
  return data;
}

Result<DataMap> SecretData(const Json& secret) {
  DataMap data;
  FARLET_TRY(AddData(secret, "data", true, data));
  return data;
}

}  // namespace farlet::pod
