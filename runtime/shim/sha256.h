#pragma once

#include <string>
#include <string_view>

namespace farlet::shim {

// SHA-256 (FIPS 180-4) as 64 hex digits. For names of files, not for secrets: a crypto library
// would be the largest thing in the shim's memory.
std::string Sha256Hex(std::string_view text);

}  // namespace farlet::shim
