#include "provider/pod/object_data.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cstdint>
#include <utility>

namespace farlet::pod {
namespace {

using Json = nlohmann::json;

int Base64Value(char c) {
  if (c >= 'A' && c <= 'Z') {
    return c - 'A';
  }
  if (c >= 'a' && c <= 'z') {
    return c - 'a' + 26;
  }
  if (c >= '0' && c <= '9') {
    return c - '0' + 52;
  }
  return c == '+' ? 62 : c == '/' ? 63 : -1;
}

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

Result<std::string> DecodeBase64(std::string_view text) {
  while (!text.empty() && text.back() == '=') {
    text.remove_suffix(1);
  }
  std::string decoded;
  decoded.reserve(text.size() * 3 / 4);
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const int value = Base64Value(c);
    if (value < 0) {
      if (c == '\n' || c == '\r') {
        continue;
      }
      return InvalidArgument("is not base64");
    }
    bits = (bits << 6U) | static_cast<uint32_t>(value);
    count += 6;
    if (count >= 8) {
      count -= 8;
      decoded += static_cast<char>((bits >> static_cast<unsigned>(count)) & 0xffU);
    }
  }
  return decoded;
}

}  // namespace farlet::pod
