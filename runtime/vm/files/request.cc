#include "runtime/vm/files/request.h"

#include <algorithm>
#include <climits>
#include <string_view>

namespace farlet::files {

Request::Request(Bytes message) {
  std::memcpy(&header_, message.data(), sizeof(header_));
  rest_ = message.subspan(sizeof(header_));
}

const char* Request::TakeText() {
  const auto end = std::find(rest_.begin(), rest_.end(), std::byte{0});
  if (end == rest_.end()) {
    return nullptr;
  }
  const auto* text = reinterpret_cast<const char*>(rest_.data());
  rest_ = rest_.subspan(static_cast<size_t>(end - rest_.begin()) + 1);
  return text;
}

const char* Request::TakeName() {
  const char* text = TakeText();
  if (text == nullptr) {
    return nullptr;
  }
  const std::string_view name(text);
  const bool good = !name.empty() && name.size() <= NAME_MAX && name != "." && name != ".." &&
                    name.find('/') == std::string_view::npos;
  return good ? text : nullptr;
}

void Reply::AddBytes(const void* data, size_t size) {
  const std::span<std::byte> room = Room(size);
  if (room.empty()) {
    return;  // `data` may be null then, which memcpy does not take
  }
  std::memcpy(room.data(), data, room.size());
  Grow(room.size());
}

std::span<std::byte> Reply::Room(size_t size) {
  return std::span(buffer_).subspan(size_, std::min(size, buffer_.size() - size_));
}

Bytes Reply::Finish(uint64_t unique, int error) {
  if (error != 0) {
    Clear();
  }
  const fuse_out_header header{
      .len = static_cast<uint32_t>(size_), .error = -error, .unique = unique};
  std::memcpy(buffer_.data(), &header, sizeof(header));
  return Bytes(buffer_).subspan(0, size_);
}

}  // namespace farlet::files
