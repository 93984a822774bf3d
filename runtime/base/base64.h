#pragma once

#include "runtime/base/result.h"

#include <string>
#include <string_view>

namespace farlet {

// Base64 of RFC 4648 with the standard alphabet. Decoding takes it with or without padding and with
// line breaks and spaces in it. Error: kInvalidArgument, which does not show the text.
std::string EncodeBase64(std::string_view bytes);
Result<std::string> DecodeBase64(std::string_view text);

}  // namespace farlet
