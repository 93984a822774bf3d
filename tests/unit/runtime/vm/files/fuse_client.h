#pragma once

#include "runtime/vm/files/session.h"

#include <linux/fuse.h>

#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>

namespace farlet::files {

// What the guest's kernel would say, as bytes.
inline std::string BytesOf(const void* data, size_t size) {
  return {static_cast<const char*>(data), size};
}

template <class Structure>
std::string BytesOf(const Structure& structure) {
  return BytesOf(&structure, sizeof(structure));
}

// A string with its zero byte.
inline std::string Text(std::string_view text) {
  return std::string(text) + '\0';
}

struct Answer {
  bool there = false;
  int error = 0;
  uint64_t unique = 0;
  std::string body;

  // Zeros when the body is shorter.
  template <class Structure>
  Structure As(size_t offset = 0) const {
    Structure structure{};
    if (body.size() >= offset + sizeof(structure)) {
      std::memcpy(&structure, body.data() + offset, sizeof(structure));
    }
    return structure;
  }
};

inline std::string Message(
    uint32_t opcode, uint64_t node, const std::string& body, uint32_t uid = 0, uint32_t gid = 0) {
  static uint64_t unique = 0;
  fuse_in_header header{};
  header.len = static_cast<uint32_t>(sizeof(header) + body.size());
  header.opcode = opcode;
  header.unique = ++unique;
  header.nodeid = node;
  header.uid = uid;
  header.gid = gid;
  return BytesOf(header) + body;
}

inline Answer Ask(Session& session, const std::string& message) {
  const Bytes reply = session.Handle(std::as_bytes(std::span(message)));
  Answer answer;
  if (reply.size() < sizeof(fuse_out_header)) {
    return answer;
  }
  fuse_out_header header{};
  std::memcpy(&header, reply.data(), sizeof(header));
  answer.there = header.len == reply.size();
  answer.error = -header.error;
  answer.unique = header.unique;
  answer.body = BytesOf(reply.data() + sizeof(header), reply.size() - sizeof(header));
  return answer;
}

}  // namespace farlet::files
