#pragma once

#include "runtime/base/result.h"

#include <nlohmann/json_fwd.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace farlet::shim {

// A place in a JSON document that somebody else wrote. Reading never fails on the spot: what is
// absent reads as empty, and the first thing that has the wrong type or is out of bounds is
// remembered for the whole document, by its path ("process.args[3]: not a string"). Whoever reads
// asks status() at the end and throws the rest away when it is an error.
class Cursor {
 public:
  static constexpr size_t kMaxText = 1u << 20;
  static constexpr size_t kMaxItems = 65536;

  // `document` outlives the cursor.
  explicit Cursor(const nlohmann::json& document);

  Cursor operator[](std::string_view key) const;

  // Absent or null.
  bool empty() const { return value_ == nullptr; }

  const std::string& path() const { return path_; }

  std::string Text(size_t max_bytes = kMaxText) const;
  bool Flag() const;
  std::optional<bool> OptionalFlag() const;
  std::optional<int64_t> Integer() const;
  // Whole numbers from 0 to `max`; absent: 0.
  uint64_t Unsigned(uint64_t max = UINT64_MAX) const;

  uint32_t Unsigned32() const { return static_cast<uint32_t>(Unsigned(UINT32_MAX)); }

  std::vector<std::string> Texts() const;

  void EachItem(const std::function<void(const Cursor&)>& visit) const;
  void EachMember(const std::function<void(const std::string& key, const Cursor&)>& visit) const;

  // Remembers a problem with this place.
  void Refuse(std::string_view why, Code code = Code::kInvalidArgument) const;

  Status status() const;

 private:
  struct Problem;

  Cursor(const nlohmann::json* value, std::string path, std::shared_ptr<Problem> problem);

  const nlohmann::json* value_;
  std::string path_;
  std::shared_ptr<Problem> problem_;
};

}  // namespace farlet::shim
