#include "provider/node/cni_config.h"

#include "runtime/base/file.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <arpa/inet.h>

#include <array>
#include <charconv>
#include <cstdint>
#include <utility>

namespace farlet::node {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kFileName[] = "10-farlet.conflist";
constexpr mode_t kFileMode = 0644;
constexpr mode_t kFolderMode = 0755;

Status CheckCidr(const std::string& cidr) {
  const size_t slash = cidr.find('/');
  const std::string address = cidr.substr(0, slash);
  std::array<unsigned char, 16> bytes{};
  const bool v4 = ::inet_pton(AF_INET, address.c_str(), bytes.data()) == 1;
  const bool v6 = !v4 && ::inet_pton(AF_INET6, address.c_str(), bytes.data()) == 1;
  int length = -1;
  if (slash != std::string::npos) {
    std::from_chars(cidr.data() + slash + 1, cidr.data() + cidr.size(), length);
  }
  if ((!v4 && !v6) || length < 0 || length > (v4 ? 32 : 128)) {
    return InvalidArgument(fmt::format("pod CIDR \"{}\" is malformed", cidr));
  }
  return {};
}

uint32_t Fnv1a(const std::string& text) {
  uint32_t hash = 2166136261U;
  for (const char c : text) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
  }
  return hash;
}

}  // namespace

std::string BridgeName(const std::string& node_name) {
  return fmt::format("farlet-{:08x}", Fnv1a(node_name));
}

std::string FormatCniConfig(const CniConfig& config) {
  Json ranges = Json::array();
  Json routes = Json::array();
  for (const std::string& cidr : config.pod_cidrs) {
    ranges.push_back(Json::array({Json{{"subnet", cidr}}}));
    routes.push_back(Json{{"dst", cidr.find(':') == std::string::npos ? "0.0.0.0/0" : "::/0"}});
  }
  Json ipam{{"type", "host-local"}};
  if (!config.data_dir.empty()) {
    ipam["dataDir"] = config.data_dir.string();
  }
  ipam["ranges"] = std::move(ranges);
  ipam["routes"] = std::move(routes);
  const std::string bridge = BridgeName(config.node_name);
  // forceAddress: a node that was registered again may have another CIDR than its bridge.
  const Json plugins =
      Json::array({Json{{"type", "bridge"},
                        {"bridge", bridge},
                        {"isGateway", true},
                        {"forceAddress", true},
                        {"ipMasq", false},
                        {"hairpinMode", true},
                        {"ipam", std::move(ipam)}},
                   Json{{"type", "portmap"}, {"capabilities", Json{{"portMappings", true}}}}});
  const Json list{{"cniVersion", "0.4.0"}, {"name", bridge}, {"plugins", plugins}};
  return list.dump(2) + "\n";
}

Status CheckPodCidrs(const std::vector<std::string>& pod_cidrs) {
  if (pod_cidrs.empty()) {
    return InvalidArgument("CNI configuration: the node has no pod CIDR");
  }
  for (const std::string& cidr : pod_cidrs) {
    FARLET_TRY(CheckCidr(cidr));
  }
  return {};
}

Result<bool> WriteCniConfig(const CniConfig& config) {
  FARLET_TRY(CheckPodCidrs(config.pod_cidrs));
  const std::string text = FormatCniConfig(config);
  const std::filesystem::path path = config.folder / kFileName;
  if (const Result<std::string> known = ReadFile(path); known && *known == text) {
    return false;
  }
  FARLET_TRY(MakeDirectories(config.folder, kFolderMode));
  FARLET_TRY(WriteFileAtomic(path, text, kFileMode));
  return true;
}

}  // namespace farlet::node
