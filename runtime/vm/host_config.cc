#include "runtime/vm/host_config.h"

#include "runtime/base/file.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <array>
#include <charconv>
#include <cstdlib>
#include <functional>
#include <map>
#include <set>
#include <string>

namespace farlet::vm {
namespace {

constexpr size_t kMaxFileBytes = 64u << 10;

Error Expected(std::string_view what, const std::string& value) {
  return InvalidArgument(fmt::format("must be {}, not \"{}\"", what, value.substr(0, 64)));
}

Status ParsePath(const std::string& value, std::filesystem::path& into) {
  // Part of QEMU's options, where a comma separates.
  if (value.empty() || value.front() != '/' || value.find(',') != std::string::npos) {
    return Expected("an absolute path without a comma", value);
  }
  into = std::filesystem::path(value).lexically_normal();
  return {};
}

Status ParseBool(const std::string& value, bool& into) {
  if (value != "true" && value != "false") {
    return Expected("true or false", value);
  }
  into = value == "true";
  return {};
}

Result<uint64_t> ParseNumber(std::string_view digits) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc{} || end != digits.data() + digits.size()) {
    return InvalidArgument("not a number");
  }
  return number;
}

// "512Mi", "20Gi", or bytes.
Status ParseBytes(const std::string& value, uint64_t& into) {
  static constexpr std::array<std::string_view, 4> kUnits = {"Ki", "Mi", "Gi", "Ti"};
  std::string_view digits = value;
  unsigned shift = 0;
  for (size_t i = 0; i < kUnits.size(); ++i) {
    if (digits.ends_with(kUnits[i])) {
      digits.remove_suffix(2);
      shift = static_cast<unsigned>(10 * (i + 1));
      break;
    }
  }
  const auto number = ParseNumber(digits);
  if (!number || *number == 0 || *number > (1ull << 50) >> shift) {
    return Expected("a size like 512Mi or 20Gi, at most 1024Ti", value);
  }
  into = *number << shift;
  return {};
}

Status ParseCount(const std::string& value, uint32_t& into) {
  const auto number = ParseNumber(value);
  if (!number || *number == 0 || *number > 1024) {
    return Expected("a number between 1 and 1024", value);
  }
  into = static_cast<uint32_t>(*number);
  return {};
}

Status ParsePoolSize(const std::string& value, uint32_t& into) {
  const auto number = ParseNumber(value);
  if (!number || *number > 64) {
    return Expected("a number between 0 and 64", value);
  }
  into = static_cast<uint32_t>(*number);
  return {};
}

Status ParseAcceleration(const std::string& value, AccelerationMode& into) {
  static const std::map<std::string, AccelerationMode> kModes = {{"auto", AccelerationMode::kAuto},
                                                                 {"kvm", AccelerationMode::kKvm},
                                                                 {"tcg", AccelerationMode::kTcg}};
  const auto found = kModes.find(value);
  if (found == kModes.end()) {
    return Expected("auto, kvm or tcg", value);
  }
  into = found->second;
  return {};
}

using Setter = std::function<Status(const std::string& value, HostConfig& config)>;

template <class Parse, class Member>
Setter Set(Parse parse, Member member) {
  return [parse, member](const std::string& value, HostConfig& config) {
    return parse(value, config.*member);
  };
}

const std::map<std::string, Setter>& Setters() {
  static const std::map<std::string, Setter> kSetters = {
      {"qemu", Set(ParsePath, &HostConfig::qemu)},
      {"kernel", Set(ParsePath, &HostConfig::kernel)},
      {"initramfs", Set(ParsePath, &HostConfig::initramfs)},
      {"cacheDir", Set(ParsePath, &HostConfig::cache_dir)},
      {"runDir", Set(ParsePath, &HostConfig::run_dir)},
      {"templateDir", Set(ParsePath, &HostConfig::template_dir)},
      {"acceleration", Set(ParseAcceleration, &HostConfig::acceleration)},
      {"coldBoot", Set(ParseBool, &HostConfig::cold_boot)},
      {"defaultMemory", Set(ParseBytes, &HostConfig::default_memory_bytes)},
      {"defaultVcpus", Set(ParseCount, &HostConfig::default_vcpus)},
      {"ephemeralStorage", Set(ParseBytes, &HostConfig::ephemeral_storage_bytes)},
      {"imageCache", Set(ParseBytes, &HostConfig::image_cache_bytes)},
      {"poolSize", Set(ParsePoolSize, &HostConfig::pool_size)},
  };
  return kSetters;
}

Result<HostConfig> FromNode(const YAML::Node& root) {
  HostConfig config;
  if (root.IsNull()) {
    return config;
  }
  if (!root.IsMap()) {
    return InvalidArgument("must be a mapping of keys to values");
  }
  std::set<std::string> seen;
  for (const auto& entry : root) {
    if (!entry.first.IsScalar()) {
      return InvalidArgument("a key must be a single word");
    }
    const std::string key = entry.first.Scalar();
    const auto setter = Setters().find(key);
    if (setter == Setters().end()) {
      return InvalidArgument(fmt::format("{}: unknown key", key.substr(0, 64)));
    }
    if (!seen.insert(key).second) {
      return InvalidArgument(fmt::format("{}: given twice", key));
    }
    if (!entry.second.IsScalar()) {
      return InvalidArgument(fmt::format("{}: must be a single value", key));
    }
    FARLET_TRY(Annotate(setter->second(entry.second.Scalar(), config), key));
  }
  return config;
}

}  // namespace

Result<HostConfig> ParseHostConfig(std::string_view yaml) {
  try {
    return FromNode(YAML::Load(std::string(yaml)));
  } catch (const YAML::Exception& exception) {
    return InvalidArgument(exception.what());
  }
}

Result<HostConfig> LoadHostConfig(const std::filesystem::path& path) {
  auto content = ReadFile(path, kMaxFileBytes);
  if (!content && content.error().code == Code::kNotFound && path == kDefaultHostConfig) {
    return HostConfig{};
  }
  if (!content) {
    return Wrap("VM configuration", std::move(content).error());
  }
  return Annotate(ParseHostConfig(*content), "VM configuration " + path.string());
}

std::filesystem::path HostConfigPath(std::string_view from_runtime_options) {
  if (!from_runtime_options.empty()) {
    return from_runtime_options;
  }
  // NOLINTNEXTLINE(concurrency-mt-unsafe): nothing in this program sets environment variables.
  const char* from_environment = std::getenv("FARLET_VM_CONFIG");
  if (from_environment != nullptr && *from_environment != '\0') {
    return from_environment;
  }
  return kDefaultHostConfig;
}

}  // namespace farlet::vm
