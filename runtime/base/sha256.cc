#include "runtime/base/sha256.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>

namespace farlet {
namespace {

// The first 32 bits of the fractional parts of the cube roots of the first 64 primes.
constexpr std::array<uint32_t, 64> kRound = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

uint32_t BigEndian(const uint8_t* bytes) {
  return uint32_t{bytes[0]} << 24 | uint32_t{bytes[1]} << 16 | uint32_t{bytes[2]} << 8 | bytes[3];
}

uint32_t Mix(uint32_t value, int first, int second, int third) {
  return std::rotr(value, first) ^ std::rotr(value, second) ^ std::rotr(value, third);
}

}  // namespace

void Sha256::Block(const uint8_t* block) {
  std::array<uint32_t, 64> words{};
  for (size_t i = 0; i < 16; ++i) {
    words[i] = BigEndian(block + 4 * i);
  }
  for (size_t i = 16; i < 64; ++i) {
    const uint32_t early = words[i - 15];
    const uint32_t late = words[i - 2];
    words[i] = words[i - 16] + (std::rotr(early, 7) ^ std::rotr(early, 18) ^ early >> 3) +
               words[i - 7] + (std::rotr(late, 17) ^ std::rotr(late, 19) ^ late >> 10);
  }
  auto [a, b, c, d, e, f, g, h] = state_;
  for (size_t i = 0; i < 64; ++i) {
    const uint32_t first = h + Mix(e, 6, 11, 25) + ((e & f) ^ (~e & g)) + kRound[i] + words[i];
    const uint32_t second = Mix(a, 2, 13, 22) + ((a & b) ^ (a & c) ^ (b & c));
    h = g;
    g = f;
    f = e;
    e = d + first;
    d = c;
    c = b;
    b = a;
    a = first + second;
  }
  const std::array<uint32_t, 8> result = {a, b, c, d, e, f, g, h};
  for (size_t i = 0; i < result.size(); ++i) {
    state_[i] += result[i];
  }
}

void Sha256::Update(std::span<const uint8_t> data) {
  total_ += data.size();
  while (!data.empty()) {
    if (pending_size_ == 0 && data.size() >= pending_.size()) {
      Block(data.data());
      data = data.subspan(pending_.size());
      continue;
    }
    const size_t count = std::min(pending_.size() - pending_size_, data.size());
    std::memcpy(pending_.data() + pending_size_, data.data(), count);
    pending_size_ += count;
    data = data.subspan(count);
    if (pending_size_ == pending_.size()) {
      Block(pending_.data());
      pending_size_ = 0;
    }
  }
}

void Sha256::Update(std::string_view data) {
  Update({reinterpret_cast<const uint8_t*>(data.data()), data.size()});
}

void Sha256::UpdateField(std::string_view data) {
  Update(fmt::format("{}:", data.size()));
  Update(data);
}

std::string Sha256::FinishHex() {
  const uint64_t bits = total_ * 8;
  std::array<uint8_t, 72> padding{0x80};
  // Up to 56 bytes of a block, then the length in bits.
  const size_t zeros = (119 - pending_size_) % 64 + 1;
  for (size_t i = 0; i < 8; ++i) {
    padding[zeros + i] = static_cast<uint8_t>(bits >> (56 - 8 * i));
  }
  Update({padding.data(), zeros + 8});
  std::string hex;
  for (const uint32_t word : state_) {
    hex += fmt::format("{:08x}", word);
  }
  return hex;
}

std::string Sha256Hex(std::string_view text) {
  Sha256 digest;
  digest.Update(text);
  return digest.FinishHex();
}

}  // namespace farlet
