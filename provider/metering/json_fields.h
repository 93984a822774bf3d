#pragma once

#include "runtime/base/clock.h"
#include "runtime/base/result.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cstdint>
#include <string>

// Reading of JSON that was written by another agent, or by an earlier one: nothing is believed.
namespace farlet::metering {

using Json = nlohmann::json;

// 2200-01-01: later times are nonsense, and sums with them could overflow.
inline constexpr int64_t kLatestTime = 7'258'118'400'000'000'000;

inline Result<int64_t> NumberAt(const Json& object, const char* key, int64_t most) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number_integer()) {
    return InvalidArgument(fmt::format("{}: must be a whole number", key));
  }
  const auto number = found->get<int64_t>();
  if (number < 0 || number > most) {
    return InvalidArgument(fmt::format("{}: {} is not from 0 to {}", key, number, most));
  }
  return number;
}

inline Result<std::string> TextAt(const Json& object, const char* key) {
  constexpr size_t kLongest = 253;  // of names in Kubernetes
  const auto found = object.find(key);
  if (found == object.end() || !found->is_string()) {
    return InvalidArgument(fmt::format("{}: must be a text", key));
  }
  auto text = found->get<std::string>();
  if (text.size() > kLongest) {
    return InvalidArgument(fmt::format("{}: is longer than {} bytes", key, kLongest));
  }
  return text;
}

inline Result<WallTime> TimeAt(const Json& object, const char* key) {
  FARLET_ASSIGN(const int64_t time, NumberAt(object, key, kLatestTime));
  return WallTime(std::chrono::nanoseconds(time));
}

inline int64_t TimeNumber(WallTime time) {
  return std::chrono::nanoseconds(time.time_since_epoch()).count();
}

}  // namespace farlet::metering
