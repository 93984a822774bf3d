#include "runtime/shim/spec/cursor.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <utility>

namespace farlet::shim {

using nlohmann::json;

struct Cursor::Problem {
  std::optional<Error> first;
};

Cursor::Cursor(const json& document)
    : Cursor(document.is_null() ? nullptr : &document, "", std::make_shared<Problem>()) {}

Cursor::Cursor(const json* value, std::string path, std::shared_ptr<Problem> problem)
    : value_(value), path_(std::move(path)), problem_(std::move(problem)) {}

Cursor Cursor::operator[](std::string_view key) const {
  std::string path = path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key);
  if (value_ == nullptr) {
    return {nullptr, std::move(path), problem_};
  }
  if (!value_->is_object()) {
    Refuse("not an object");
    return {nullptr, std::move(path), problem_};
  }
  const auto found = value_->find(key);
  const bool absent = found == value_->end() || found->is_null();
  return {absent ? nullptr : &*found, std::move(path), problem_};
}

std::string Cursor::Text(size_t max_bytes) const {
  if (value_ == nullptr) {
    return {};
  }
  const auto* const text = value_->get_ptr<const std::string*>();
  if (text == nullptr) {
    Refuse("not a string");
    return {};
  }
  if (text->size() > max_bytes || text->find('\0') != std::string::npos) {
    Refuse("too long, or with a zero byte");
    return {};
  }
  return *text;
}

std::optional<bool> Cursor::OptionalFlag() const {
  if (value_ == nullptr) {
    return std::nullopt;
  }
  if (!value_->is_boolean()) {
    Refuse("neither true nor false");
    return std::nullopt;
  }
  return value_->get<bool>();
}

bool Cursor::Flag() const {
  return OptionalFlag().value_or(false);
}

std::optional<int64_t> Cursor::Integer() const {
  if (value_ == nullptr) {
    return std::nullopt;
  }
  const bool fits = value_->is_number_integer() && (!value_->is_number_unsigned() ||
                                                    value_->get<uint64_t>() <= uint64_t{INT64_MAX});
  if (!fits) {
    Refuse("not a whole number of 64 bits");
    return std::nullopt;
  }
  return value_->get<int64_t>();
}

uint64_t Cursor::Unsigned(uint64_t max) const {
  if (value_ == nullptr) {
    return 0;
  }
  if (!value_->is_number_unsigned() || value_->get<uint64_t>() > max) {
    Refuse(fmt::format("not a whole number from 0 to {}", max));
    return 0;
  }
  return value_->get<uint64_t>();
}

std::vector<std::string> Cursor::Texts() const {
  std::vector<std::string> texts;
  EachItem([&](const Cursor& item) { texts.push_back(item.Text()); });
  return texts;
}

void Cursor::EachItem(const std::function<void(const Cursor&)>& visit) const {
  if (value_ == nullptr) {
    return;
  }
  if (!value_->is_array() || value_->size() > kMaxItems) {
    Refuse("not a list, or too long");
    return;
  }
  for (size_t i = 0; i < value_->size(); ++i) {
    const json& item = (*value_)[i];
    visit(Cursor(item.is_null() ? nullptr : &item, fmt::format("{}[{}]", path_, i), problem_));
  }
}

void Cursor::EachMember(
    const std::function<void(const std::string& key, const Cursor&)>& visit) const {
  if (value_ == nullptr) {
    return;
  }
  if (!value_->is_object() || value_->size() > kMaxItems) {
    Refuse("not an object, or too large");
    return;
  }
  for (const auto& [key, member] : value_->items()) {
    visit(key,
          Cursor(member.is_null() ? nullptr : &member, fmt::format("{}.{}", path_, key), problem_));
  }
}

void Cursor::Refuse(std::string_view why, Code code) const {
  if (!problem_->first) {
    problem_->first =
        MakeError(code, path_.empty() ? std::string(why) : path_ + ": " + std::string(why));
  }
}

Status Cursor::status() const {
  if (problem_->first) {
    return *problem_->first;
  }
  return {};
}

}  // namespace farlet::shim
