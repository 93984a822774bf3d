#pragma once

#include "runtime/base/fd.h"
#include "runtime/base/result.h"

#include <linux/netlink.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// rtnetlink in small: one request at a time on a blocking socket.
namespace farlet::net {

using Bytes = std::span<const std::byte>;

// A request under construction: the fixed part, then attributes.
class NetlinkRequest {
 public:
  template <class Fixed>
  NetlinkRequest(uint16_t type, uint16_t flags, const Fixed& fixed) {
    nlmsghdr header{};
    header.nlmsg_type = type;
    header.nlmsg_flags = flags | NLM_F_REQUEST;
    Put(&header, sizeof(header));
    Put(&fixed, sizeof(fixed));
  }

  void Add(uint16_t type, const void* data, size_t size);

  template <class Number>
  void AddNumber(uint16_t type, Number value) {
    Add(type, &value, sizeof(value));
  }

  void AddString(uint16_t type, const std::string& value) {
    Add(type, value.c_str(), value.size() + 1);
  }

  // Attributes added by `fill` become the content of attribute `type`.
  void AddNested(uint16_t type, const std::function<void()>& fill);

 private:
  friend class NetlinkSocket;

  void Put(const void* data, size_t size);  // padded to 4 bytes

  std::vector<std::byte> bytes_;
};

// The attributes that follow the fixed part of a message, by type. Views into the message.
class NetlinkAttributes {
 public:
  static constexpr size_t kMaxType = 64;

  explicit NetlinkAttributes(Bytes bytes);

  bool Has(uint16_t type) const { return type < kMaxType && found_.at(type).data() != nullptr; }

  // Empty when absent.
  Bytes Get(uint16_t type) const { return type < kMaxType ? found_.at(type) : Bytes(); }

  // 0 when absent or too short.
  uint32_t Number(uint16_t type) const;
  std::string String(uint16_t type) const;

 private:
  std::array<Bytes, kMaxType> found_{};
};

// The fixed part of a message, zeros when it is too short.
template <class Fixed>
Fixed FixedPart(Bytes message) {
  Fixed fixed{};
  if (message.size() >= sizeof(fixed)) {
    std::memcpy(&fixed, message.data(), sizeof(fixed));
  }
  return fixed;
}

template <class Fixed>
NetlinkAttributes AttributesAfter(Bytes message) {
  const size_t offset = NLMSG_ALIGN(sizeof(Fixed));
  return NetlinkAttributes(message.size() > offset ? message.subspan(offset) : Bytes());
}

class NetlinkSocket {
 public:
  // In the network namespace of the calling thread.
  static Result<NetlinkSocket> Open();

  // Sends and waits for the acknowledgement. The kernel's errno is the error, `what` its context.
  Status Request(NetlinkRequest request, std::string_view what);

  // As Request, but gives the errno itself: 0 is success. For callers to whom some are fine.
  Result<int> RequestErrno(NetlinkRequest request, std::string_view what);

  // Calls `each` with the content (after the netlink header) of every message of the answer;
  // repeats the whole when a change came in between, hence `begin`.
  Status Dump(const NetlinkRequest& request,
              std::string_view what,
              const std::function<void()>& begin,
              const std::function<void(Bytes message)>& each);

 private:
  explicit NetlinkSocket(UniqueFd fd) : fd_(std::move(fd)), buffer_(kBufferBytes) {}

  static constexpr size_t kBufferBytes = 64 << 10;

  enum class Received { kMore, kDone };

  struct Answer {
    int error = 0;
    bool interrupted = false;
  };

  Status Send(NetlinkRequest& request, std::string_view what);
  // One datagram; `each` may be empty.
  Result<Received> Receive(std::string_view what,
                           Answer& answer,
                           const std::function<void(Bytes)>& each);
  Result<Answer> Exchange(NetlinkRequest request,
                          std::string_view what,
                          const std::function<void(Bytes)>& each);

  UniqueFd fd_;
  uint32_t sequence_ = 0;
  std::vector<std::byte> buffer_;
};

}  // namespace farlet::net
