#include "tests/fakes/apiserver/fake_api_server_patch.h"

#include <algorithm>
#include <map>
#include <sstream>
#include <utility>
#include <vector>

namespace farlet::testing {
namespace {

using Json = nlohmann::json;

constexpr char kSet[] = "";  // a list of primitives that is merged

// patchMergeKey of the fields whose patchStrategy is merge (k8s.io/api core/v1, meta/v1).
const std::map<std::string, std::string>& MergeKeys() {
  static const std::map<std::string, std::string> kKeys{{"conditions", "type"},
                                                        {"addresses", "type"},
                                                        {"containers", "name"},
                                                        {"initContainers", "name"},
                                                        {"volumes", "name"},
                                                        {"env", "name"},
                                                        {"ephemeralContainers", "name"},
                                                        {"volumeMounts", "mountPath"},
                                                        {"ports", "containerPort"},
                                                        {"ownerReferences", "uid"},
                                                        {"imagePullSecrets", "name"},
                                                        {"podIPs", "ip"},
                                                        {"hostIPs", "ip"},
                                                        {"hostAliases", "ip"},
                                                        {"finalizers", kSet}};
  return kKeys;
}

bool StartsWith(const std::string& text, const std::string& start) {
  return text.compare(0, start.size(), start) == 0;
}

bool HasDirective(const Json& element, const char* directive) {
  return element.is_object() && element.contains("$patch") && element["$patch"] == directive;
}

void MergeSet(Json& target, const Json& patch) {
  for (const Json& value : patch) {
    if (std::find(target.begin(), target.end(), value) == target.end()) {
      target.push_back(value);
    }
  }
}

void MergeElement(Json& target, const Json& element, const std::string& key) {
  const auto position = std::find_if(target.begin(), target.end(), [&](const Json& candidate) {
    return candidate.is_object() && candidate.value(key, Json()) == element.value(key, Json());
  });
  if (HasDirective(element, "delete")) {
    if (position != target.end()) {
      target.erase(position);
    }
    return;
  }
  if (position != target.end()) {
    StrategicMerge(*position, element);
    return;
  }
  Json added = Json::object();
  StrategicMerge(added, element);
  target.push_back(std::move(added));
}

void MergeList(Json& target, const Json& patch, const std::string& key) {
  if (!target.is_array()) {
    target = Json::array();
  }
  if (key == kSet) {
    MergeSet(target, patch);
    return;
  }
  const bool replace = std::any_of(patch.begin(), patch.end(), [](const Json& element) {
    return HasDirective(element, "replace") && element.size() == 1;
  });
  if (replace) {
    target = Json::array();
  }
  for (const Json& element : patch) {
    if (!HasDirective(element, "replace") || element.size() > 1) {
      MergeElement(target, element, key);
    }
  }
}

void DeleteFromPrimitives(Json& target, const std::string& member, const Json& values) {
  if (!target.contains(member)) {
    return;
  }
  Json& list = target[member];
  for (const Json& value : values) {
    const auto position = std::find(list.begin(), list.end(), value);
    if (position != list.end()) {
      list.erase(position);
    }
  }
}

void MergeMember(Json& target, const std::string& member, const Json& value) {
  static const std::string kDelete = "$deleteFromPrimitiveList/";
  if (StartsWith(member, kDelete)) {
    DeleteFromPrimitives(target, member.substr(kDelete.size()), value);
  } else if (StartsWith(member, "$")) {
    return;
  } else if (value.is_null()) {
    target.erase(member);
  } else if (value.is_object()) {
    Json& slot = target[member];
    if (!slot.is_object()) {
      slot = Json::object();
    }
    StrategicMerge(slot, value);
  } else if (value.is_array() && MergeKeys().contains(member)) {
    MergeList(target[member], value, MergeKeys().at(member));
  } else {
    target[member] = value;
  }
}

std::vector<std::string> Split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) {
    parts.push_back(part);
  }
  return parts;
}

// "key=value", "key==value", "key!=value"; false when it is none of them.
bool ParseComparison(const std::string& term, std::string& key, std::string& value, bool& equal) {
  const size_t sign = term.find('=');
  if (sign == std::string::npos || sign == 0) {
    return false;
  }
  equal = term[sign - 1] != '!';
  key = term.substr(0, equal ? sign : sign - 1);
  value = term.substr(term[sign + 1] == '=' ? sign + 2 : sign + 1);
  return true;
}

std::string FieldValue(const Json& object, const std::string& path) {
  const Json* current = &object;
  for (const std::string& part : Split(path, '.')) {
    if (!current->is_object() || !current->contains(part)) {
      return {};
    }
    current = &(*current)[part];
  }
  return current->is_string() ? current->get<std::string>() : current->dump();
}

}  // namespace

void StrategicMerge(Json& target, const Json& patch) {
  if (HasDirective(patch, "replace")) {
    target = Json::object();
  }
  for (const auto& [member, value] : patch.items()) {
    MergeMember(target, member, value);
  }
}

bool ApplyPatch(const std::string& content_type, const Json& patch, Json& object) {
  try {
    if (StartsWith(content_type, "application/json-patch+json")) {
      object = object.patch(patch);
    } else if (StartsWith(content_type, "application/merge-patch+json")) {
      object.merge_patch(patch);
    } else if (StartsWith(content_type, "application/strategic-merge-patch+json")) {
      StrategicMerge(object, patch);
    } else {
      return false;
    }
  } catch (const Json::exception&) {
    return false;
  }
  return true;
}

bool MatchesFields(const Json& object, const std::string& selector) {
  for (const std::string& term : Split(selector, ',')) {
    std::string key;
    std::string value;
    bool equal = true;
    if (ParseComparison(term, key, value, equal) && (FieldValue(object, key) == value) != equal) {
      return false;
    }
  }
  return true;
}

bool MatchesLabels(const Json& object, const std::string& selector) {
  const Json labels = object.value("/metadata/labels"_json_pointer, Json::object());
  for (const std::string& term : Split(selector, ',')) {
    std::string key;
    std::string value;
    bool equal = true;
    if (ParseComparison(term, key, value, equal)) {
      if ((labels.contains(key) && labels[key] == value) != equal) {
        return false;
      }
    } else if (term[0] == '!' ? labels.contains(term.substr(1)) : !labels.contains(term)) {
      return false;
    }
  }
  return true;
}

}  // namespace farlet::testing
