#pragma once

#include "runtime/base/result.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// Internal: ttRPC's framing, without I/O. A frame is a header of 10 bytes, big endian, and a
// payload: u32 length, u32 stream, u8 type, u8 flags (PROTOCOL.md of github.com/containerd/ttrpc).
namespace farlet::ttrpc {

inline constexpr size_t kHeaderBytes = 10;

// Types that we do not know are skipped.
inline constexpr uint8_t kTypeRequest = 1;
inline constexpr uint8_t kTypeResponse = 2;
// The caller will send more (streaming, which we do not have).
inline constexpr uint8_t kFlagRemoteOpen = 2;

struct Frame {
  uint32_t stream = 0;
  uint8_t type = 0;
  uint8_t flags = 0;
  // The payload was longer than allowed and is skipped.
  bool oversized = false;
  std::string payload;
};

void WriteHeader(char* out, uint32_t length, uint32_t stream, uint8_t type);

// Cuts a stream of bytes into frames. Memory grows with the bytes that came, never with a length
// that was only announced.
class FrameDecoder {
 public:
  explicit FrameDecoder(size_t max_payload) : max_payload_(max_payload) {}

  // Takes from the front of `input`: a whole frame, or all of it and nothing. After an error
  // (kInvalidArgument: a length that only garbage has) the stream is lost.
  Result<std::optional<Frame>> Take(std::string_view& input);

  // Whether nothing of a frame is waiting for its rest.
  bool AtBoundary() const { return header_size_ == 0 && skip_ == 0; }

  void Reset();

 private:
  // Whether the header is complete.
  bool TakeHeader(std::string_view& input);
  Status StartFrame();

  size_t max_payload_;
  std::array<unsigned char, kHeaderBytes> header_{};
  size_t header_size_ = 0;
  size_t length_ = 0;  // of the payload, once the header is complete
  size_t skip_ = 0;    // bytes of an oversized payload that are still to come
  Frame frame_;
};

}  // namespace farlet::ttrpc
