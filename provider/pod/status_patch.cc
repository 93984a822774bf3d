#include "provider/pod/status.h"
#include "provider/pod/status_json.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace farlet::pod {
namespace {

// The fields that we write, and so may remove. Others belong to somebody else.
constexpr std::array kOwnFields{"phase",
                                "reason",
                                "message",
                                "hostIP",
                                "hostIPs",
                                "podIP",
                                "podIPs",
                                "startTime",
                                "qosClass",
                                "observedGeneration",
                                "containerStatuses",
                                "initContainerStatuses"};

// Null and missing are the same to the API.
Json WithoutNulls(const Json& value) {
  if (!value.is_object()) {
    return value;
  }
  Json cleaned = Json::object();
  for (const auto& [key, member] : value.items()) {
    if (!member.is_null()) {
      cleaned[key] = WithoutNulls(member);
    }
  }
  return cleaned;
}

bool Same(const Json* a, const Json* b) {
  if (a == nullptr || b == nullptr) {
    return a == b;
  }
  if (a->is_array() && b->is_array()) {
    return std::equal(a->begin(), a->end(), b->begin(), b->end(),
                      [](const Json& x, const Json& y) { return Same(&x, &y); });
  }
  return WithoutNulls(*a) == WithoutNulls(*b);
}

// Lists that a strategic merge would merge element by element.
bool IsMergedList(std::string_view field) {
  return field == "podIPs" || field == "hostIPs";
}

const Json* FindByType(const Json* conditions, const std::string& type) {
  if (conditions == nullptr || !conditions->is_array()) {
    return nullptr;
  }
  const auto found = std::find_if(conditions->begin(), conditions->end(),
                                  [&](const Json& item) { return TextOf(item, "type") == type; });
  return found == conditions->end() ? nullptr : &*found;
}

// The conditions that differ, whole; fields that they lose as null.
Json ConditionsPatch(const Json* current, const Json& desired) {
  Json patch = Json::array();
  for (const Json& condition : desired) {
    const Json* old = FindByType(current, TextOf(condition, "type"));
    if (Same(old, &condition)) {
      continue;
    }
    Json item = condition;
    if (old != nullptr) {
      for (const auto& [key, value] : old->items()) {
        if (!value.is_null() && !condition.contains(key)) {
          item[key] = nullptr;
        }
      }
    }
    patch.push_back(std::move(item));
  }
  return patch;
}

Json FieldPatch(const char* field, const Json* current, const Json& wanted) {
  if (!IsMergedList(field) || current == nullptr) {
    return wanted;
  }
  Json patch = Json::array({{{"$patch", "replace"}}});
  for (const Json& item : wanted) {
    patch.push_back(item);
  }
  return patch;
}

}  // namespace

std::optional<Json> StatusPatch(const std::string& uid, const Json& current, const Json& desired) {
  Json status = Json::object();
  for (const char* field : kOwnFields) {
    const Json* old = Member(current, field);
    const Json* wanted = Member(desired, field);
    if (Same(old, wanted)) {
      continue;
    }
    status[field] = wanted == nullptr ? Json(nullptr) : FieldPatch(field, old, *wanted);
  }
  if (const Json* conditions = Member(desired, "conditions")) {
    Json patch = ConditionsPatch(Member(current, "conditions"), *conditions);
    if (!patch.empty()) {
      status["conditions"] = std::move(patch);
    }
  }
  if (status.empty()) {
    return std::nullopt;
  }
  return Json{{"metadata", {{"uid", uid}}}, {"status", std::move(status)}};
}

}  // namespace farlet::pod
