#include "runtime/ttrpc/frame.h"

#include <algorithm>
#include <utility>

namespace farlet::ttrpc {
namespace {

// An oversized frame up to this length is skipped and its call refused, as the protocol has it.
constexpr size_t kMaxSkipped = 64u << 20;
constexpr size_t kFirstReserve = 16u << 10;

uint32_t ReadU32(const unsigned char* bytes) {
  return uint32_t{bytes[0]} << 24 | uint32_t{bytes[1]} << 16 | uint32_t{bytes[2]} << 8 |
         uint32_t{bytes[3]};
}

void WriteU32(char* out, uint32_t value) {
  for (int i = 0; i < 4; ++i) {
    out[i] = static_cast<char>(value >> (24 - 8 * i) & 0xff);
  }
}

}  // namespace

void WriteHeader(char* out, uint32_t length, uint32_t stream, uint8_t type) {
  WriteU32(out, length);
  WriteU32(out + 4, stream);
  out[8] = static_cast<char>(type);
  out[9] = 0;
}

Result<std::optional<Frame>> FrameDecoder::Take(std::string_view& input) {
  if (skip_ > 0) {
    const size_t skipped = std::min(skip_, input.size());
    input.remove_prefix(skipped);
    skip_ -= skipped;
  }
  if (header_size_ < kHeaderBytes) {
    if (!TakeHeader(input)) {
      return std::nullopt;
    }
    FARLET_TRY(StartFrame());
  }
  if (!frame_.oversized) {
    const size_t taken = std::min(length_ - frame_.payload.size(), input.size());
    frame_.payload.append(input.data(), taken);
    input.remove_prefix(taken);
    if (frame_.payload.size() < length_) {
      return std::nullopt;
    }
  }
  header_size_ = 0;
  return std::exchange(frame_, Frame{});
}

bool FrameDecoder::TakeHeader(std::string_view& input) {
  const size_t taken = std::min(kHeaderBytes - header_size_, input.size());
  std::copy_n(input.begin(), taken, header_.begin() + header_size_);
  input.remove_prefix(taken);
  header_size_ += taken;
  return header_size_ == kHeaderBytes;
}

Status FrameDecoder::StartFrame() {
  length_ = ReadU32(header_.data());
  frame_.stream = ReadU32(header_.data() + 4);
  frame_.type = header_[8];
  frame_.flags = header_[9];
  if (length_ <= max_payload_) {
    frame_.payload.reserve(std::min(length_, kFirstReserve));
    return {};
  }
  if (length_ > kMaxSkipped) {
    return InvalidArgument("not ttrpc: a frame of " + std::to_string(length_) + " bytes");
  }
  frame_.oversized = true;
  skip_ = length_;
  return {};
}

void FrameDecoder::Reset() {
  header_size_ = 0;
  skip_ = 0;
  frame_ = Frame{};
}

}  // namespace farlet::ttrpc
