#pragma once

#include <linux/fuse.h>

#include <cstddef>
#include <cstring>
#include <optional>
#include <span>
#include <vector>

// FUSE messages as the kernel's linux/fuse.h lays them out. What comes from the guest is taken
// apart here and nowhere else: every piece is checked against what is left of the message.
namespace farlet::files {

using Bytes = std::span<const std::byte>;

class Request {
 public:
  // `message` is at least a header long, and as long as its header says (see MessageStream).
  explicit Request(Bytes message);

  const fuse_in_header& header() const { return header_; }

  uint64_t node() const { return header_.nodeid; }

  // The next fixed structure; nothing when the message is too short.
  template <class Structure>
  std::optional<Structure> Take() {
    if (rest_.size() < sizeof(Structure)) {
      return std::nullopt;
    }
    Structure structure;
    std::memcpy(&structure, rest_.data(), sizeof(structure));
    rest_ = rest_.subspan(sizeof(structure));
    return structure;
  }

  // The next string, which ends with a zero byte inside the message. nullptr: there is none.
  const char* TakeText();

  // As TakeText, but only what may be one entry of a folder: not empty, not "." or "..", no slash,
  // 255 bytes at most.
  const char* TakeName();

  Bytes rest() const { return rest_; }

 private:
  fuse_in_header header_{};
  Bytes rest_;
};

// The body of an answer, in a buffer that is kept between requests.
class Reply {
 public:
  explicit Reply(size_t capacity) : buffer_(sizeof(fuse_out_header) + capacity) {}

  void Clear() { size_ = sizeof(fuse_out_header); }

  template <class Structure>
  void Add(const Structure& structure) {
    AddBytes(&structure, sizeof(structure));
  }

  // What does not fit is a mistake of ours and is cut off.
  void AddBytes(const void* data, size_t size);

  // Room for `size` bytes (less when there is not that much); Grow() says how many were used.
  std::span<std::byte> Room(size_t size);

  void Grow(size_t size) { size_ += size; }

  size_t body_size() const { return size_ - sizeof(fuse_out_header); }

  // The whole message. An error has no body.
  Bytes Finish(uint64_t unique, int error);

 private:
  std::vector<std::byte> buffer_;
  size_t size_ = sizeof(fuse_out_header);
};

}  // namespace farlet::files
