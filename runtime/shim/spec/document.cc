#include "runtime/shim/spec/document.h"

#include "runtime/base/file.h"

#include <nlohmann/json.hpp>

#include <utility>

namespace farlet::shim {
namespace {

constexpr size_t kMaxSpecBytes = 8u << 20;

}  // namespace

Result<Document> ParseDocument(std::string_view text) {
  auto parsed = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (parsed.is_discarded() || !parsed.is_object()) {
    return InvalidArgument("not a JSON object");
  }
  return std::make_shared<const nlohmann::json>(std::move(parsed));
}

Result<Document> ReadBundle(const std::filesystem::path& bundle) {
  const std::filesystem::path path = bundle / "config.json";
  FARLET_ASSIGN(const std::string text, ReadFile(path, kMaxSpecBytes));
  return Annotate(ParseDocument(text), "read " + path.string());
}

}  // namespace farlet::shim
