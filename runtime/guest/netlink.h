#pragma once

#include "runtime/base/fd.h"
#include "runtime/base/result.h"

#include <linux/netlink.h>

#include <cstdint>
#include <string_view>
#include <vector>

namespace farlet::guest {

// A route netlink request, built piece by piece.
class NetlinkRequest {
 public:
  NetlinkRequest(uint16_t type, uint16_t flags);

  // The family's header (rtmsg, ifaddrmsg, …), right after the netlink header.
  template <class Header>
  void AddHeader(const Header& header) {
    Append(&header, sizeof header);
  }

  void AddAttribute(uint16_t type, const void* data, size_t size);

  void AddNumber(uint16_t type, uint32_t value) { AddAttribute(type, &value, sizeof value); }

  void AddText(uint16_t type, std::string_view text);

  // Complete bytes with the length filled in.
  const std::vector<char>& Finish();

 private:
  void Append(const void* data, size_t size);

  std::vector<char> bytes_;
};

class NetlinkSocket {
 public:
  static Result<NetlinkSocket> Open();

  // Sends a request and waits for the kernel's acknowledgement, which comes at once. Errors: of
  // `what`, by the kernel's errno.
  Status Do(NetlinkRequest request, std::string_view what);

 private:
  explicit NetlinkSocket(UniqueFd socket) : socket_(std::move(socket)) {}

  UniqueFd socket_;
  uint32_t sequence_ = 0;
};

}  // namespace farlet::guest
