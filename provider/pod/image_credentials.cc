#include "provider/pod/image_credentials.h"

#include "provider/pod/docker_config.h"
#include "provider/pod/image_reference.h"
#include "provider/pod/object_data.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <map>
#include <utility>

namespace farlet::pod {
namespace {

// What the API calls Docker Hub in credentials.
constexpr char kDefaultRegistry[] = "index.docker.io";

// Go's path.Match for one label of a host name: '*', '?', '[a-z]', '\'.
bool MatchClass(std::string_view& pattern, char c) {
  pattern.remove_prefix(1);
  const bool negated = pattern.starts_with('^');
  pattern.remove_prefix(negated ? 1 : 0);
  bool matched = false;
  while (!pattern.empty() && pattern.front() != ']') {
    const char low = pattern.front();
    const bool range = pattern.size() > 2 && pattern[1] == '-' && pattern[2] != ']';
    const char high = range ? pattern[2] : low;
    matched = matched || (low <= c && c <= high);
    pattern.remove_prefix(range ? 3 : 1);
  }
  pattern.remove_prefix(pattern.empty() ? 0 : 1);
  return matched != negated;
}

// Only the last star is ever tried again, so that the time is bounded by the product of lengths.
bool MatchLabel(std::string_view pattern, std::string_view text) {
  std::string_view after_star;
  std::string_view star_text;
  bool star = false;
  while (!text.empty()) {
    if (pattern.starts_with('*')) {
      star = true;
      pattern.remove_prefix(1);
      after_star = pattern;
      star_text = text;
      continue;
    }
    bool matched = false;
    if (pattern.starts_with('[')) {
      matched = MatchClass(pattern, text.front());
    } else if (!pattern.empty()) {
      matched = pattern.front() == '?' || pattern.front() == text.front();
      pattern.remove_prefix(1);
    }
    if (matched) {
      text.remove_prefix(1);
    } else if (star) {
      star_text.remove_prefix(1);
      text = star_text;
      pattern = after_star;
    } else {
      return false;
    }
  }
  while (pattern.starts_with('*')) {
    pattern.remove_prefix(1);
  }
  return pattern.empty();
}

struct Location {
  std::string_view host;
  std::string_view port;
  std::string_view path;  // with its slash
};

Location Split(std::string_view url) {
  const size_t slash = std::min(url.find('/'), url.size());
  std::string_view authority = url.substr(0, slash);
  const size_t colon = authority.rfind(':');
  // An IPv6 address in brackets has colons of its own.
  const bool has_port =
      colon != std::string_view::npos && authority.find(']', colon) == std::string_view::npos;
  return {.host = authority.substr(0, has_port ? colon : authority.size()),
          .port = has_port ? authority.substr(colon + 1) : std::string_view(),
          .path = url.substr(slash)};
}

bool MatchHost(std::string_view pattern, std::string_view host) {
  while (true) {
    const size_t pattern_end = std::min(pattern.find('.'), pattern.size());
    const size_t host_end = std::min(host.find('.'), host.size());
    if (!MatchLabel(pattern.substr(0, pattern_end), host.substr(0, host_end)) ||
        (pattern_end == pattern.size()) != (host_end == host.size())) {
      return false;
    }
    if (pattern_end == pattern.size()) {
      return true;
    }
    pattern.remove_prefix(pattern_end + 1);
    host.remove_prefix(host_end + 1);
  }
}

// `pattern` is the key of a credential, `repository` "registry/path" of an image.
bool Matches(std::string_view pattern, std::string_view repository) {
  const Location from = Split(pattern);
  const Location to = Split(repository);
  return from.port == to.port && to.path.starts_with(from.path) && MatchHost(from.host, to.host);
}

bool SameAuth(const cri::ImageAuth& a, const cri::ImageAuth& b) {
  return a.username == b.username && a.password == b.password &&
         a.identity_token == b.identity_token && a.registry_token == b.registry_token;
}

void AddNew(std::vector<cri::ImageAuth>& list, const std::vector<cri::ImageAuth>& more) {
  for (const cri::ImageAuth& auth : more) {
    if (std::none_of(list.begin(), list.end(),
                     [&](const cri::ImageAuth& known) { return SameAuth(known, auth); })) {
      list.push_back(auth);
    }
  }
}

// From the most to the least specific: longer paths and literal labels sort behind.
using Keyring = std::map<std::string, std::vector<cri::ImageAuth>, std::greater<>>;

// False: the secret holds nothing that can be used.
bool AddSecret(const nlohmann::json& secret, Keyring& keyring) {
  const Result<DataMap> data = SecretData(secret);
  if (!data) {
    return false;
  }
  Result<DockerConfig> config = InvalidArgument("no docker configuration");
  if (const auto found = data->find(".dockerconfigjson"); found != data->end()) {
    config = ParseDockerConfigJson(found->second);
  } else if (const auto old = data->find(".dockercfg"); old != data->end()) {
    config = ParseDockerCfg(old->second);
  }
  if (!config) {
    return false;
  }
  for (auto& [server, auth] : *config) {
    keyring[RegistryKey(server)].push_back(std::move(auth));
  }
  return true;
}

std::vector<cri::ImageAuth> Find(const Keyring& keyring, const ImageReference& image) {
  const std::string repository = image.registry + "/" + image.path;
  std::vector<cri::ImageAuth> found;
  for (const auto& [key, auths] : keyring) {
    if (Matches(key, repository)) {
      AddNew(found, auths);
    }
  }
  const auto hub = keyring.find(kDefaultRegistry);
  if (found.empty() && image.registry == "docker.io" && hub != keyring.end()) {
    AddNew(found, hub->second);
  }
  return found;
}

}  // namespace

Result<std::vector<cri::ImageAuth>> ImageCredentials(const kube::Pod& pod,
                                                     std::string_view image,
                                                     const ObjectLookup& objects,
                                                     std::vector<std::string>& warnings) {
  FARLET_ASSIGN(const ImageReference reference, ParseImageReference(image));
  Keyring keyring;
  std::vector<std::string> unusable;
  for (const std::string& name : pod.spec.image_pull_secrets) {
    const kube::ObjectCache::Lookup secret = objects({.kind = kube::ObjectKind::kSecret,
                                                      .object_namespace = pod.meta.object_namespace,
                                                      .name = name});
    if (!secret && secret.error().code == Code::kUnavailable) {
      return secret.error();
    }
    if (!secret || !AddSecret(**secret, keyring)) {
      unusable.push_back(name);
    }
  }
  if (!unusable.empty()) {
    warnings.push_back(
        fmt::format("Unable to retrieve some image pull secrets ({}); attempting to pull the image "
                    "may not succeed.",
                    fmt::join(unusable, ", ")));
  }
  std::vector<cri::ImageAuth> found = Find(keyring, reference);
  if (found.empty()) {
    found.emplace_back();
  }
  return found;
}

}  // namespace farlet::pod
