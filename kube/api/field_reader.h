#pragma once

#include "kube/api/quantity.h"
#include "runtime/base/clock.h"
#include "runtime/base/result.h"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace farlet::kube {

// Reads the fields of one API object: tolerant of fields it is not asked for, strict about the
// types of those it is. A missing or null field leaves the output as it is. The first problem is
// kept in the FieldErrors that all readers of an object share, with the path of the field; later
// ones are ignored, so that a parser reads on without checking.
class FieldErrors {
 public:
  void Add(const std::string& path, std::string_view problem);

  const std::optional<Error>& first() const { return first_; }

 private:
  std::optional<Error> first_;
};

class FieldReader {
 public:
  // No list or map of an API object that we read is longer than this.
  static constexpr size_t kMaxItems = 8192;

  // `json`, `errors` and `name` must outlive the reader.
  FieldReader(const nlohmann::json& json, std::string_view name, FieldErrors& errors);

  // False for a missing or null object, whose fields then are all missing.
  bool present() const { return json_ != nullptr; }

  bool Has(std::string_view key) const { return Find(key) != nullptr; }

  std::string Path() const;
  void Fail(std::string_view problem) const;
  void Fail(std::string_view key, std::string_view problem) const;

  void Read(std::string_view key, std::string& out) const;
  void Read(std::string_view key, std::optional<std::string>& out) const;
  void Read(std::string_view key, bool& out) const;
  void Read(std::string_view key, std::optional<bool>& out) const;
  void Read(std::string_view key, int32_t& out) const;
  void Read(std::string_view key, std::optional<int32_t>& out) const;
  void Read(std::string_view key, int64_t& out) const;
  void Read(std::string_view key, std::optional<int64_t>& out) const;
  // Whole seconds; beyond ±2³¹ they are cut to that, which is as good as for ever.
  void Read(std::string_view key, seconds& out) const;
  void Read(std::string_view key, std::optional<seconds>& out) const;
  void Read(std::string_view key, std::optional<WallTime>& out) const;
  void Read(std::string_view key, Quantity& out) const;
  void Read(std::string_view key, std::optional<Quantity>& out) const;
  void Read(std::string_view key, std::map<std::string, std::string>& out) const;
  void Read(std::string_view key, std::map<std::string, Quantity>& out) const;
  void Read(std::string_view key, std::vector<std::string>& out) const;
  void Read(std::string_view key, std::vector<int64_t>& out) const;

  // A nested object; it must not outlive this reader.
  FieldReader Object(std::string_view key) const;
  // Calls `item` with a reader of each object in a list.
  void List(std::string_view key, const std::function<void(const FieldReader&)>& item) const;
  // The field as it is, nullptr when missing or null.
  const nlohmann::json* Find(std::string_view key) const;
  // The names of the fields that are set.
  std::vector<std::string> Keys() const;

 private:
  FieldReader(const nlohmann::json* json,
              std::string_view name,
              int64_t index,
              const FieldReader& parent);

  // A list of bounded length, or nullptr.
  const nlohmann::json* FindList(std::string_view key) const;
  const nlohmann::json* FindMap(std::string_view key) const;
  bool ReadInteger(std::string_view key, int64_t low, int64_t high, int64_t& out) const;

  const nlohmann::json* json_ = nullptr;
  std::string_view name_;
  int64_t index_ = -1;
  const FieldReader* parent_ = nullptr;
  FieldErrors* errors_ = nullptr;
};

}  // namespace farlet::kube
