#pragma once

#include "runtime/base/result.h"

#include <nlohmann/json_fwd.hpp>

#include <filesystem>
#include <memory>
#include <string_view>

namespace farlet::shim {

// An OCI runtime spec, parsed but not yet understood.
using Document = std::shared_ptr<const nlohmann::json>;

// kInvalidArgument when it is no JSON object.
Result<Document> ParseDocument(std::string_view text);

// `bundle`/config.json, bounded.
Result<Document> ReadBundle(const std::filesystem::path& bundle);

}  // namespace farlet::shim
