#include "provider/pod/docker_config.h"

#include "runtime/base/base64.h"

#include <nlohmann/json.hpp>

#include <array>
#include <optional>
#include <utility>

namespace farlet::pod {
namespace {

using Json = nlohmann::json;

std::string TextOf(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

// nullopt: malformed, or without any credential.
std::optional<cri::ImageAuth> ParseEntry(const Json& entry) {
  if (!entry.is_object()) {
    return std::nullopt;
  }
  cri::ImageAuth auth{.username = TextOf(entry, "username"),
                      .password = TextOf(entry, "password"),
                      .identity_token = TextOf(entry, "identitytoken"),
                      .registry_token = TextOf(entry, "registrytoken")};
  const std::string encoded = TextOf(entry, "auth");
  if (!encoded.empty()) {
    const Result<std::string> decoded = DecodeBase64(encoded);
    const size_t colon = decoded ? decoded->find(':') : std::string::npos;
    if (colon == std::string::npos) {
      return std::nullopt;
    }
    auth.username = decoded->substr(0, colon);
    auth.password = decoded->substr(colon + 1);
  }
  const bool empty = auth.username.empty() && auth.password.empty() &&
                     auth.identity_token.empty() && auth.registry_token.empty();
  return empty ? std::nullopt : std::optional(std::move(auth));
}

Result<DockerConfig> ParseEntries(const Json& entries) {
  if (!entries.is_object()) {
    return InvalidArgument("docker configuration: must be an object");
  }
  DockerConfig config;
  for (const auto& [server, entry] : entries.items()) {
    if (std::optional<cri::ImageAuth> auth = ParseEntry(entry)) {
      config.emplace(server, *std::move(auth));
    }
  }
  return config;
}

}  // namespace

Result<DockerConfig> ParseDockerConfigJson(std::string_view text) {
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object() || !json.contains("auths")) {
    return InvalidArgument("docker configuration: has no \"auths\"");
  }
  return ParseEntries(json["auths"]);
}

Result<DockerConfig> ParseDockerCfg(std::string_view text) {
  return ParseEntries(Json::parse(text, nullptr, false));
}

std::string RegistryKey(std::string_view server) {
  for (const std::string_view scheme : {"https://", "http://"}) {
    if (server.starts_with(scheme)) {
      server.remove_prefix(scheme.size());
      break;
    }
  }
  const size_t slash = std::min(server.find('/'), server.size());
  std::string_view path = server.substr(slash);
  for (const std::string_view version : {"/v1/", "/v2/"}) {
    if (path.starts_with(version)) {
      path.remove_prefix(version.size() - 1);
      break;
    }
  }
  return std::string(server.substr(0, slash)) + (path == "/" ? "" : std::string(path));
}

}  // namespace farlet::pod
