#include "kube/api/field_reader.h"

#include "runtime/base/time_format.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <utility>

namespace farlet::kube {
namespace {

using Json = nlohmann::json;

constexpr char kNotANumber[] = "must be a number";
constexpr char kNotAString[] = "must be a string";

Result<Quantity> ParseQuantity(const Json& value) {
  if (value.is_string()) {
    return Quantity::Parse(value.get_ref<const std::string&>());
  }
  if (value.is_number()) {
    return Quantity::Parse(value.dump());
  }
  return InvalidArgument("must be a quantity");
}

}  // namespace

void FieldErrors::Add(const std::string& path, std::string_view problem) {
  if (!first_) {
    first_ = InvalidArgument(path.empty() ? fmt::format("the object {}", problem)
                                          : fmt::format("{}: {}", path, problem));
  }
}

FieldReader::FieldReader(const Json& json, std::string_view name, FieldErrors& errors)
    : name_(name), errors_(&errors) {
  if (json.is_object()) {
    json_ = &json;
  } else if (!json.is_null()) {
    Fail("must be an object");
  }
}

FieldReader::FieldReader(const Json* json,
                         std::string_view name,
                         int64_t index,
                         const FieldReader& parent)
    : name_(name), index_(index), parent_(&parent), errors_(parent.errors_) {
  if (json != nullptr && json->is_object()) {
    json_ = json;
  } else if (json != nullptr && !json->is_null()) {
    Fail("must be an object");
  }
}

std::string FieldReader::Path() const {
  std::string path = parent_ == nullptr ? "" : parent_->Path();
  if (!path.empty() && !name_.empty()) {
    path += '.';
  }
  path += name_;
  if (index_ >= 0) {
    path += fmt::format("[{}]", index_);
  }
  return path;
}

void FieldReader::Fail(std::string_view problem) const {
  errors_->Add(Path(), problem);
}

void FieldReader::Fail(std::string_view key, std::string_view problem) const {
  const std::string path = Path();
  errors_->Add(path.empty() ? std::string(key) : fmt::format("{}.{}", path, key), problem);
}

const Json* FieldReader::Find(std::string_view key) const {
  if (json_ == nullptr) {
    return nullptr;
  }
  const auto found = json_->find(key);
  return found == json_->end() || found->is_null() ? nullptr : &*found;
}

std::vector<std::string> FieldReader::Keys() const {
  std::vector<std::string> keys;
  if (json_ != nullptr) {
    for (const auto& [key, value] : json_->items()) {
      if (!value.is_null()) {
        keys.push_back(key);
      }
    }
  }
  return keys;
}

void FieldReader::Read(std::string_view key, std::string& out) const {
  std::optional<std::string> value;
  Read(key, value);
  if (value) {
    out = *std::move(value);
  }
}

void FieldReader::Read(std::string_view key, std::optional<std::string>& out) const {
  const Json* value = Find(key);
  if (value == nullptr) {
    return;
  }
  if (!value->is_string()) {
    Fail(key, kNotAString);
    return;
  }
  out = value->get<std::string>();
}

void FieldReader::Read(std::string_view key, bool& out) const {
  std::optional<bool> value;
  Read(key, value);
  out = value.value_or(out);
}

void FieldReader::Read(std::string_view key, std::optional<bool>& out) const {
  const Json* value = Find(key);
  if (value == nullptr) {
    return;
  }
  if (!value->is_boolean()) {
    Fail(key, "must be true or false");
    return;
  }
  out = value->get<bool>();
}

bool FieldReader::ReadInteger(std::string_view key, int64_t low, int64_t high, int64_t& out) const {
  const Json* value = Find(key);
  if (value == nullptr) {
    return false;
  }
  if (!value->is_number()) {
    Fail(key, kNotANumber);
    return false;
  }
  if (!value->is_number_integer()) {
    Fail(key, "must be a whole number");
    return false;
  }
  const bool too_large =
      value->is_number_unsigned() && value->get<uint64_t>() > static_cast<uint64_t>(high);
  if (too_large || value->get<int64_t>() > high || value->get<int64_t>() < low) {
    Fail(key, fmt::format("must be between {} and {}", low, high));
    return false;
  }
  out = value->get<int64_t>();
  return true;
}

void FieldReader::Read(std::string_view key, int32_t& out) const {
  std::optional<int32_t> value;
  Read(key, value);
  out = value.value_or(out);
}

void FieldReader::Read(std::string_view key, std::optional<int32_t>& out) const {
  int64_t value = 0;
  if (ReadInteger(key, std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::max(),
                  value)) {
    out = static_cast<int32_t>(value);
  }
}

void FieldReader::Read(std::string_view key, int64_t& out) const {
  std::optional<int64_t> value;
  Read(key, value);
  out = value.value_or(out);
}

void FieldReader::Read(std::string_view key, std::optional<int64_t>& out) const {
  int64_t value = 0;
  if (ReadInteger(key, std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max(),
                  value)) {
    out = value;
  }
}

void FieldReader::Read(std::string_view key, seconds& out) const {
  std::optional<seconds> value;
  Read(key, value);
  out = value.value_or(out);
}

void FieldReader::Read(std::string_view key, std::optional<seconds>& out) const {
  std::optional<int64_t> value;
  Read(key, value);
  if (value) {
    constexpr int64_t kLimit = std::numeric_limits<int32_t>::max();
    out = seconds(std::clamp(*value, -kLimit, kLimit));
  }
}

void FieldReader::Read(std::string_view key, std::optional<WallTime>& out) const {
  std::optional<std::string> text;
  Read(key, text);
  if (!text) {
    return;
  }
  Result<WallTime> time = ParseRfc3339(*text);
  if (time) {
    out = *time;
  } else {
    Fail(key, time.error().message);
  }
}

void FieldReader::Read(std::string_view key, Quantity& out) const {
  std::optional<Quantity> value;
  Read(key, value);
  out = value.value_or(out);
}

void FieldReader::Read(std::string_view key, std::optional<Quantity>& out) const {
  const Json* value = Find(key);
  if (value == nullptr) {
    return;
  }
  Result<Quantity> quantity = ParseQuantity(*value);
  if (quantity) {
    out = *quantity;
  } else {
    Fail(key, quantity.error().message);
  }
}

const Json* FieldReader::FindMap(std::string_view key) const {
  const Json* value = Find(key);
  if (value != nullptr && !value->is_object()) {
    Fail(key, "must be an object");
    return nullptr;
  }
  if (value != nullptr && value->size() > kMaxItems) {
    Fail(key, fmt::format("has more than {} entries", kMaxItems));
    return nullptr;
  }
  return value;
}

void FieldReader::Read(std::string_view key, std::map<std::string, std::string>& out) const {
  const Json* value = FindMap(key);
  if (value == nullptr) {
    return;
  }
  out.clear();
  for (const auto& [name, item] : value->items()) {
    if (item.is_string()) {
      out.emplace(name, item.get<std::string>());
    } else if (!item.is_null()) {
      Fail(fmt::format("{}[{}]", key, name), kNotAString);
    }
  }
}

void FieldReader::Read(std::string_view key, std::map<std::string, Quantity>& out) const {
  const Json* value = FindMap(key);
  if (value == nullptr) {
    return;
  }
  out.clear();
  for (const auto& [name, item] : value->items()) {
    Result<Quantity> quantity = ParseQuantity(item);
    if (quantity) {
      out.emplace(name, *quantity);
    } else {
      Fail(fmt::format("{}[{}]", key, name), quantity.error().message);
    }
  }
}

const Json* FieldReader::FindList(std::string_view key) const {
  const Json* value = Find(key);
  if (value != nullptr && !value->is_array()) {
    Fail(key, "must be a list");
    return nullptr;
  }
  if (value != nullptr && value->size() > kMaxItems) {
    Fail(key, fmt::format("has more than {} items", kMaxItems));
    return nullptr;
  }
  return value;
}

void FieldReader::Read(std::string_view key, std::vector<std::string>& out) const {
  const Json* value = FindList(key);
  if (value == nullptr) {
    return;
  }
  out.clear();
  for (const Json& item : *value) {
    if (!item.is_string()) {
      Fail(fmt::format("{}[{}]", key, out.size()), kNotAString);
      return;
    }
    out.push_back(item.get<std::string>());
  }
}

void FieldReader::Read(std::string_view key, std::vector<int64_t>& out) const {
  const Json* value = FindList(key);
  if (value == nullptr) {
    return;
  }
  out.clear();
  for (const Json& item : *value) {
    if (!item.is_number_integer()) {
      Fail(fmt::format("{}[{}]", key, out.size()), kNotANumber);
      return;
    }
    out.push_back(item.get<int64_t>());
  }
}

FieldReader FieldReader::Object(std::string_view key) const {
  return {Find(key), key, -1, *this};
}

void FieldReader::List(std::string_view key,
                       const std::function<void(const FieldReader&)>& item) const {
  const Json* value = FindList(key);
  if (value == nullptr) {
    return;
  }
  int64_t index = 0;
  for (const Json& element : *value) {
    item(FieldReader(&element, key, index++, *this));
  }
}

}  // namespace farlet::kube
