#include "runtime/base/base64.h"

#include <cstdint>

namespace farlet {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int ValueOf(char letter) {
  if (letter >= 'A' && letter <= 'Z') {
    return letter - 'A';
  }
  if (letter >= 'a' && letter <= 'z') {
    return letter - 'a' + 26;
  }
  if (letter >= '0' && letter <= '9') {
    return letter - '0' + 52;
  }
  return letter == '+' ? 62 : letter == '/' ? 63 : -1;
}

bool IsSpace(char letter) {
  return letter == '\n' || letter == '\r' || letter == ' ';
}

}  // namespace

std::string EncodeBase64(std::string_view bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const std::string_view group = bytes.substr(i, 3);
    uint32_t bits = 0;
    for (size_t j = 0; j < 3; ++j) {
      bits = (bits << 8U) | (j < group.size() ? static_cast<unsigned char>(group[j]) : 0U);
    }
    for (size_t j = 0; j < 4; ++j) {
      text += j <= group.size() ? kAlphabet[(bits >> (18U - 6U * j)) & 0x3fU] : '=';
    }
  }
  return text;
}

Result<std::string> DecodeBase64(std::string_view text) {
  while (!text.empty() && (text.back() == '=' || IsSpace(text.back()))) {
    text.remove_suffix(1);
  }
  std::string bytes;
  bytes.reserve(text.size() * 3 / 4);
  uint32_t bits = 0;
  unsigned count = 0;
  size_t letters = 0;
  for (const char letter : text) {
    if (IsSpace(letter)) {
      continue;
    }
    const int value = ValueOf(letter);
    if (value < 0) {
      return InvalidArgument("is not base64");
    }
    ++letters;
    bits = (bits << 6U) | static_cast<uint32_t>(value);
    count += 6;
    if (count >= 8) {
      count -= 8;
      bytes += static_cast<char>((bits >> count) & 0xffU);
    }
  }
  if (letters % 4 == 1) {
    return InvalidArgument("is not base64");
  }
  return bytes;
}

}  // namespace farlet
