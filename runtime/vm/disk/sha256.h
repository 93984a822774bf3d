#pragma once

#include <string>
#include <string_view>

namespace farlet::disk {

// SHA-256 (FIPS 180-4) as 64 hexadecimal digits. For names; a shim does not load OpenSSL for it.
std::string Sha256Hex(std::string_view text);

}  // namespace farlet::disk
