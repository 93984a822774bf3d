#include "runtime/guest/netlink.h"

#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>

namespace farlet::guest {

NetlinkRequest::NetlinkRequest(uint16_t type, uint16_t flags) {
  nlmsghdr header{};
  header.nlmsg_type = type;
  header.nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | NLM_F_ACK | flags);
  Append(&header, sizeof header);
}

void NetlinkRequest::AddAttribute(uint16_t type, const void* data, size_t size) {
  rtattr attribute{};
  attribute.rta_type = type;
  attribute.rta_len = static_cast<uint16_t>(RTA_LENGTH(size));
  // Not Append: the padding goes behind the data.
  const auto* begin = reinterpret_cast<const char*>(&attribute);
  bytes_.insert(bytes_.end(), begin, begin + sizeof attribute);
  Append(data, size);
}

void NetlinkRequest::AddText(uint16_t type, std::string_view text) {
  const std::string terminated(text);
  AddAttribute(type, terminated.c_str(), terminated.size() + 1);
}

const std::vector<char>& NetlinkRequest::Finish() {
  const auto size = static_cast<uint32_t>(bytes_.size());
  std::memcpy(bytes_.data() + offsetof(nlmsghdr, nlmsg_len), &size, sizeof size);
  return bytes_;
}

void NetlinkRequest::Append(const void* data, size_t size) {
  const auto* begin = static_cast<const char*>(data);
  if (size != 0) {
    bytes_.insert(bytes_.end(), begin, begin + size);
  }
  bytes_.resize(NLMSG_ALIGN(bytes_.size()));
}

Result<NetlinkSocket> NetlinkSocket::Open() {
  UniqueFd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!socket.valid()) {
    return ErrnoError(errno, "open a netlink socket");
  }
  return NetlinkSocket(std::move(socket));
}

Status NetlinkSocket::Do(NetlinkRequest request, std::string_view what) {
  std::vector<char> bytes = request.Finish();
  ++sequence_;
  std::memcpy(bytes.data() + offsetof(nlmsghdr, nlmsg_seq), &sequence_, sizeof sequence_);
  if (::send(socket_.get(), bytes.data(), bytes.size(), 0) < 0) {
    return ErrnoError(errno, what);
  }
  while (true) {
    alignas(nlmsghdr) std::array<char, 8192> buffer{};
    const ssize_t count = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (count < 0 && errno == EINTR) {
      continue;
    }
    nlmsghdr header{};
    nlmsgerr answer{};
    if (count < static_cast<ssize_t>(sizeof header + sizeof answer)) {
      return count < 0 ? ErrnoError(errno, what)
                       : Internal(std::string(what) + ": netlink's answer is too short");
    }
    std::memcpy(&header, buffer.data(), sizeof header);
    if (header.nlmsg_type != NLMSG_ERROR || header.nlmsg_seq != sequence_) {
      continue;
    }
    std::memcpy(&answer, buffer.data() + sizeof header, sizeof answer);
    return answer.error == 0 ? Status() : Status(ErrnoError(-answer.error, what));
  }
}

}  // namespace farlet::guest
