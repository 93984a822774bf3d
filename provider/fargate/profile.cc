#include "provider/fargate/profile.h"

#include "kube/api/field_reader.h"
#include "provider/fargate/profile_fields.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <utility>

namespace farlet::fargate {
namespace {

using kube::FieldReader;

void ReadAllowList(const FieldReader& in, AllowList& allow) {
  in.Read("capabilities", allow.capabilities);
  in.Read("hostPaths", allow.host_paths);
  in.Read("volumeTypes", allow.volume_types);
  in.Read("resources", allow.resources);
  in.Read("runtimeClasses", allow.runtime_classes);
  in.Read("ulimits", allow.ulimits);
  in.Read("privileged", allow.privileged);
  in.Read("hostPorts", allow.host_ports);
  for (std::string& capability : allow.capabilities) {
    capability = CapabilityName(capability);
  }
}

void ReadValidation(const FieldReader& in, std::optional<Validation>& validation) {
  std::string text;
  in.Read("validation", text);
  if (text == "Enforce") {
    validation = Validation::kEnforce;
  } else if (text == "Warn") {
    validation = Validation::kWarn;
  } else if (!text.empty()) {
    in.Fail("validation", fmt::format("\"{}\" is neither Enforce nor Warn",
                                      std::string_view(text).substr(0, 64)));
  }
}

// Lower-case letters, digits and "-", and the wildcards: nothing else is in a namespace's name.
bool IsNamespacePattern(std::string_view text) {
  constexpr size_t kMaxLength = 253;
  return text.size() <= kMaxLength && std::all_of(text.begin(), text.end(), [](char letter) {
           return (letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9') ||
                  letter == '-' || letter == '*' || letter == '?';
         });
}

// `extra` are further characters besides letters, digits, "-", "_", "." and the wildcards.
bool IsLabelPattern(std::string_view text, size_t max_length, std::string_view extra) {
  return text.size() <= max_length && std::all_of(text.begin(), text.end(), [&](char letter) {
           return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
                  (letter >= '0' && letter <= '9') ||
                  std::string_view("-_.*?").find(letter) != std::string_view::npos ||
                  extra.find(letter) != std::string_view::npos;
         });
}

// It becomes the value of a label and the name of an object.
bool IsProfileName(std::string_view text) {
  constexpr size_t kMaxLength = 63;
  const auto alphanumeric = [](char letter) {
    return (letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9');
  };
  return !text.empty() && text.size() <= kMaxLength && alphanumeric(text.front()) &&
         alphanumeric(text.back()) && std::all_of(text.begin(), text.end(), [&](char letter) {
           return alphanumeric(letter) || letter == '-' || letter == '.';
         });
}

// What is wrong with a selector; empty: nothing.
std::string SelectorProblem(const Selector& selector, const ProfileLimits& limits) {
  constexpr size_t kMaxKey = 253 + 1 + 63;
  constexpr size_t kMaxValue = 63;
  if (selector.object_namespace.empty()) {
    return "empty namespace";
  }
  if (!IsNamespacePattern(selector.object_namespace)) {
    return fmt::format(
        "namespace \"{}\" can match none (lower-case letters, digits, '-', '*', '?')",
        std::string_view(selector.object_namespace).substr(0, 64));
  }
  if (selector.labels.size() > limits.labels) {
    return fmt::format("{} labels, at most {} are allowed", selector.labels.size(), limits.labels);
  }
  for (const auto& [key, value] : selector.labels) {
    if (key.empty() || !IsLabelPattern(key, kMaxKey, "/")) {
      return fmt::format("label \"{}\" can match none", std::string_view(key).substr(0, 64));
    }
    if (!IsLabelPattern(value, kMaxValue, "")) {
      return fmt::format("value \"{}\" of label \"{}\" can match none",
                         std::string_view(value).substr(0, 64), key);
    }
  }
  return {};
}

void PutList(nlohmann::json& object, const char* key, const std::vector<std::string>& list) {
  if (!list.empty()) {
    object[key] = list;
  }
}

nlohmann::json AllowListToJson(const AllowList& allow) {
  nlohmann::json json = nlohmann::json::object();
  PutList(json, "capabilities", allow.capabilities);
  PutList(json, "hostPaths", allow.host_paths);
  PutList(json, "volumeTypes", allow.volume_types);
  PutList(json, "resources", allow.resources);
  PutList(json, "runtimeClasses", allow.runtime_classes);
  PutList(json, "ulimits", allow.ulimits);
  if (allow.privileged) {
    json["privileged"] = true;
  }
  if (allow.host_ports) {
    json["hostPorts"] = true;
  }
  return json;
}

}  // namespace

std::string CapabilityName(std::string_view text) {
  std::string name(text);
  std::transform(name.begin(), name.end(), name.begin(), [](char letter) {
    return letter >= 'a' && letter <= 'z' ? static_cast<char>(letter - ('a' - 'A')) : letter;
  });
  constexpr std::string_view kPrefix = "CAP_";
  if (name.starts_with(kPrefix)) {
    name.erase(0, kPrefix.size());
  }
  return name == "ALL" ? "*" : name;
}

void ReadProfileFields(const FieldReader& in, Profile& profile) {
  in.List("selectors", [&](const FieldReader& item) {
    Selector& selector = profile.selectors.emplace_back();
    item.Read("namespace", selector.object_namespace);
    item.Read("labels", selector.labels);
  });
  // The AWS API has the first spelling, eksctl the second.
  in.Read("podExecutionRoleArn", profile.pod_execution_role_arn);
  in.Read("podExecutionRoleARN", profile.pod_execution_role_arn);
  in.Read("subnets", profile.subnets);
  in.Read("tags", profile.tags);
}

Result<Profile> Profile::FromJson(nlohmann::json object) {
  Profile profile;
  FARLET_ASSIGN(profile.meta, kube::ParseObjectMeta(object));
  kube::FieldErrors errors;
  const FieldReader root(object, "", errors);
  const FieldReader spec = root.Object("spec");
  if (!spec.present()) {
    spec.Fail("is missing");
  }
  ReadProfileFields(spec, profile);
  ReadValidation(spec, profile.validation);
  ReadAllowList(spec.Object("allow"), profile.allow);
  if (errors.first()) {
    return *errors.first();
  }
  return profile;
}

std::vector<std::string> Profile::WithoutEffect() const {
  std::vector<std::string> fields;
  if (!pod_execution_role_arn.empty()) {
    fields.emplace_back("podExecutionRoleArn");
  }
  if (!subnets.empty()) {
    fields.emplace_back("subnets");
  }
  if (!tags.empty()) {
    fields.emplace_back("tags");
  }
  return fields;
}

nlohmann::json ProfileToJson(const Profile& profile) {
  nlohmann::json selectors = nlohmann::json::array();
  for (const Selector& selector : profile.selectors) {
    nlohmann::json item{{"namespace", selector.object_namespace}};
    if (!selector.labels.empty()) {
      item["labels"] = selector.labels;
    }
    selectors.push_back(std::move(item));
  }
  nlohmann::json spec{{"selectors", std::move(selectors)}};
  if (!profile.pod_execution_role_arn.empty()) {
    spec["podExecutionRoleArn"] = profile.pod_execution_role_arn;
  }
  PutList(spec, "subnets", profile.subnets);
  if (!profile.tags.empty()) {
    spec["tags"] = profile.tags;
  }
  if (profile.validation) {
    spec["validation"] = *profile.validation == Validation::kWarn ? "Warn" : "Enforce";
  }
  if (nlohmann::json allow = AllowListToJson(profile.allow); !allow.empty()) {
    spec["allow"] = std::move(allow);
  }
  return {{"apiVersion", kProfileApiVersion},
          {"kind", kProfileKind},
          {"metadata", {{"name", profile.meta.name}}},
          {"spec", std::move(spec)}};
}

Status CheckProfile(const Profile& profile, const ProfileLimits& limits) {
  const std::string& name = profile.meta.name;
  if (name.empty()) {
    return InvalidArgument("invalid Fargate profile: empty name");
  }
  const std::string what = fmt::format("invalid Fargate profile \"{}\"", name);
  if (name.starts_with("eks-")) {
    return InvalidArgument(what + ": name should NOT start with \"eks-\"");
  }
  if (!IsProfileName(name)) {
    return InvalidArgument(what +
                           ": name must be at most 63 lower-case letters, digits, '-' and '.'");
  }
  if (profile.selectors.empty()) {
    return InvalidArgument(what + ": no profile selector");
  }
  if (profile.selectors.size() > limits.selectors) {
    return InvalidArgument(fmt::format("{}: {} profile selectors, at most {} are allowed", what,
                                       profile.selectors.size(), limits.selectors));
  }
  for (size_t i = 0; i < profile.selectors.size(); ++i) {
    const std::string problem = SelectorProblem(profile.selectors[i], limits);
    if (!problem.empty()) {
      return InvalidArgument(
          fmt::format("{}: invalid profile selector at index #{}: {}", what, i, problem));
    }
  }
  return {};
}

}  // namespace farlet::fargate
