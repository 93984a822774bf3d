#include "kube/api/utf8.h"

#include "runtime/base/json_text.h"

#include <nlohmann/json.hpp>

namespace farlet::kube {

std::string ValidUtf8(const std::string& text) {
  using Json = nlohmann::json;
  const Json value = text;
  try {
    // The library's own check and replacement; the text comes back out of its quotes.
    return Json::parse(JsonText(value)).get<std::string>();
  } catch (const Json::exception&) {
    return {};
  }
}

}  // namespace farlet::kube
