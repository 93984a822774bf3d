#include "provider/app/config.h"

#include "provider/app/config_fields.h"
#include "provider/node/addresses.h"
#include "runtime/base/file.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <arpa/inet.h>

#include <algorithm>
#include <array>

namespace farlet::app {
namespace {

constexpr char kApiVersion[] = "farlet.dev/v1alpha1";
constexpr char kKind[] = "NodeConfiguration";

Result<std::string> ScalarOf(const YAML::Node& node) {
  if (!node.IsScalar()) {
    return InvalidArgument("must be a single value");
  }
  return node.Scalar();
}

Result<RawMap> MapOf(const YAML::Node& node) {
  if (!node.IsMap()) {
    return InvalidArgument("must be a map");
  }
  RawMap map;
  for (const auto& entry : node) {
    FARLET_ASSIGN(const std::string key, ScalarOf(entry.first));
    auto value = ScalarOf(entry.second);
    if (!value) {
      return Wrap(key, value.error());
    }
    map[key] = *value;
  }
  return map;
}

template <class Item, class Convert>
Result<RawValue> ListOf(const YAML::Node& node, Convert convert) {
  if (!node.IsSequence()) {
    return InvalidArgument("must be a list");
  }
  std::vector<Item> items;
  for (const auto& entry : node) {
    FARLET_ASSIGN(Item item, convert(entry));
    items.push_back(std::move(item));
  }
  return RawValue(std::move(items));
}

Result<RawValue> RawOf(const Field& field, const YAML::Node& node) {
  switch (field.shape) {
    case Field::Shape::kScalar: {
      FARLET_ASSIGN(std::string text, ScalarOf(node));
      return RawValue(std::move(text));
    }
    case Field::Shape::kList:
      return ListOf<std::string>(node, ScalarOf);
    case Field::Shape::kMap: {
      FARLET_ASSIGN(RawMap map, MapOf(node));
      return RawValue(std::move(map));
    }
    case Field::Shape::kListOfMaps:
      return ListOf<RawMap>(node, MapOf);
  }
  return Internal("unknown shape");
}

const Field* FindField(std::string_view name, bool by_flag) {
  const auto& fields = Fields();
  const auto found = std::find_if(fields.begin(), fields.end(), [&](const Field& field) {
    return name == (by_flag ? FlagName(field.key) : std::string(field.key));
  });
  return found == fields.end() ? nullptr : &*found;
}

Status CheckHeader(const YAML::Node& root) {
  for (const auto& [key, expected] : {std::pair{"apiVersion", kApiVersion}, {"kind", kKind}}) {
    const YAML::Node node = root[key];
    if (!node || !node.IsScalar() || node.Scalar() != expected) {
      return InvalidArgument(fmt::format("{}: must be {}", key, expected));
    }
  }
  return {};
}

Status ApplyDocument(const YAML::Node& root, NodeConfig& config) {
  if (!root.IsMap()) {
    return InvalidArgument("is not a map of settings");
  }
  FARLET_TRY(CheckHeader(root));
  for (const auto& entry : root) {
    FARLET_ASSIGN(const std::string key, ScalarOf(entry.first));
    if (key == "apiVersion" || key == "kind") {
      continue;
    }
    const std::string place = fmt::format("line {}: {}", entry.first.Mark().line + 1, key);
    const Field* field = FindField(key, false);
    if (field == nullptr) {
      return InvalidArgument(place + ": there is no such setting");
    }
    auto raw = RawOf(*field, entry.second);
    if (!raw) {
      return Wrap(place, raw.error());
    }
    if (auto set = field->set(config, *raw); !set) {
      return Wrap(place, set.error());
    }
  }
  return {};
}

Status ApplyFile(const std::filesystem::path& file, NodeConfig& config) {
  FARLET_ASSIGN(const std::string content, ReadFile(file, size_t{1} << 20));
  try {
    return Annotate(ApplyDocument(YAML::Load(content), config), file.string());
  } catch (const YAML::Exception& error) {
    return InvalidArgument(
        fmt::format("{}: line {}: {}", file.string(), error.mark.line + 1, error.msg));
  }
}

Status ApplyFlag(const FlagValue& flag, NodeConfig& config) {
  const std::string place = "--" + flag.flag;
  const Field* field = FindField(flag.flag, true);
  if (field == nullptr) {
    return InvalidArgument(place + ": there is no such flag");
  }
  auto raw = ParseFlagText(*field, flag.text);
  if (!raw) {
    return Wrap(place, raw.error());
  }
  return Annotate(field->set(config, *raw), place);
}

bool IsIpAddress(const std::string& text) {
  std::array<unsigned char, 16> buffer{};
  return inet_pton(AF_INET, text.c_str(), buffer.data()) == 1 ||
         inet_pton(AF_INET6, text.c_str(), buffer.data()) == 1;
}

// RFC 1123 subdomain, what a Node's name has to be.
bool IsNodeName(const std::string& name) {
  const auto alphanumeric = [](char letter) {
    return (letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9');
  };
  return !name.empty() && name.size() <= 253 && alphanumeric(name.front()) &&
         alphanumeric(name.back()) && std::all_of(name.begin(), name.end(), [&](char letter) {
           return alphanumeric(letter) || letter == '-' || letter == '.';
         });
}

Status Validate(const NodeConfig& config) {
  if (!IsNodeName(config.node_name)) {
    return InvalidArgument(
        fmt::format("nodeName: \"{}\" is not a node name (lower-case letters, digits, '-' and '.')",
                    config.node_name));
  }
  if (!config.node_ip.empty() && !IsIpAddress(config.node_ip)) {
    return InvalidArgument(fmt::format("nodeIP: \"{}\" is not an IP address", config.node_ip));
  }
  if (!IsIpAddress(config.address)) {
    return InvalidArgument(fmt::format("address: \"{}\" is not an IP address", config.address));
  }
  for (const std::string& server : config.cluster_dns) {
    if (!IsIpAddress(server)) {
      return InvalidArgument(fmt::format("clusterDNS: \"{}\" is not an IP address", server));
    }
  }
  if (config.tls_cert_file.empty() != config.tls_private_key_file.empty()) {
    return InvalidArgument("tlsCertFile and tlsPrivateKeyFile: set both or none");
  }
  for (const auto& [key, path] : {std::pair{"rootDir", config.root_dir},
                                  {"certDir", config.cert_dir},
                                  {"podLogsDir", config.pod_logs_dir}}) {
    if (!path.is_absolute()) {
      return InvalidArgument(fmt::format("{}: \"{}\" is not an absolute path", key, path.string()));
    }
  }
  return {};
}

}  // namespace

std::vector<FieldHelp> ConfigFields() {
  std::vector<FieldHelp> all;
  for (const Field& field : Fields()) {
    all.push_back({.key = field.key, .flag = FlagName(field.key), .help = field.help});
  }
  return all;
}

Result<NodeConfig> LoadNodeConfig(const std::filesystem::path& file,
                                  const std::vector<FlagValue>& flags) {
  NodeConfig config;
  if (!file.empty()) {
    FARLET_TRY(ApplyFile(file, config));
  }
  for (const FlagValue& flag : flags) {
    FARLET_TRY(ApplyFlag(flag, config));
  }
  if (config.node_name.empty()) {
    FARLET_ASSIGN(config.node_name, Annotate(node::HostName(), "nodeName is not set"));
  }
  if (config.cert_dir.empty()) {
    config.cert_dir = config.root_dir / "pki";
  }
  FARLET_TRY(Validate(config));
  return config;
}

}  // namespace farlet::app
