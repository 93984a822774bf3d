#pragma once

#include <nlohmann/json.hpp>

#include <string>

namespace farlet {

// On one line. What is not valid UTF-8 becomes U+FFFD, as with Go's encoder: text from outside
// must not make a dump throw.
inline std::string JsonText(const nlohmann::json& value) {
  return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace farlet
