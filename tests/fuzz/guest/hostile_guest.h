#pragma once

#include "tests/fuzz/ttrpc/socket_peer.h"

#include <string_view>

namespace farlet::shim {

// The guest's end of the agent's port: answers every call of the shim with what the input says
// next.
//
// The input is a list of answers: how, the length, and so many bytes. How, by its lowest bits: a
// payload, an error with the bytes as its message, no answer at all, or bare bytes on the line.
// After the input calls are answered by empty payloads, some hundreds, then by nothing.
class HostileGuest {
 public:
  explicit HostileGuest(std::string_view input) : input_(input) {}

  ttrpc::SocketPeer& peer() { return peer_; }

  // Answers what has come; false when nothing had.
  bool Answer();

 private:
  void AnswerOne(uint32_t stream);
  void SendResponse(uint32_t stream, int code, std::string_view bytes);

  ttrpc::SocketPeer peer_;
  std::string_view input_;
  int answers_ = 0;
};

}  // namespace farlet::shim
