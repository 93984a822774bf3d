#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace farlet {

// SHA-256 (FIPS 180-4), for names and checksums, not for secrets. Of our own because the shim,
// which is there once a pod, would pay for a whole crypto library in memory.
class Sha256 {
 public:
  void Update(std::span<const uint8_t> data);
  void Update(std::string_view data);
  // Adds a length and the text, so that ("ab", "c") and ("a", "bc") differ.
  void UpdateField(std::string_view data);
  std::string FinishHex();  // once

 private:
  void Block(const uint8_t* block);

  std::array<uint32_t, 8> state_ = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                    0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<uint8_t, 64> pending_{};
  size_t pending_size_ = 0;
  uint64_t total_ = 0;
};

// Of one text, as 64 hexadecimal digits.
std::string Sha256Hex(std::string_view text);

}  // namespace farlet
