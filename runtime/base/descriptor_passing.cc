#include "runtime/base/descriptor_passing.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace farlet {
namespace {

struct alignas(cmsghdr) ControlSpace {
  std::array<char, CMSG_SPACE(sizeof(int) * kMaxPassedDescriptors)> bytes{};
};

}  // namespace

ssize_t SendWithDescriptors(int socket,
                            std::string_view data,
                            std::span<const int> descriptors,
                            int flags) {
  if (descriptors.size() > kMaxPassedDescriptors) {
    errno = EINVAL;
    return -1;
  }
  iovec part{.iov_base = const_cast<char*>(data.data()), .iov_len = data.size()};  // only read
  ControlSpace space;
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!descriptors.empty()) {
    message.msg_control = space.bytes.data();
    message.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(descriptors.size_bytes());
    std::memcpy(CMSG_DATA(header), descriptors.data(), descriptors.size_bytes());
  }
  return ::sendmsg(socket, &message, flags | MSG_NOSIGNAL);
}

ReceivedMessage ReceiveWithDescriptors(int socket, std::span<char> buffer) {
  iovec part{.iov_base = buffer.data(), .iov_len = buffer.size()};
  ControlSpace space;
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = space.bytes.data();
  message.msg_controllen = space.bytes.size();
  ReceivedMessage received;
  received.size = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  received.truncated = received.size >= 0 &&
                       (static_cast<unsigned>(message.msg_flags) & (MSG_TRUNC | MSG_CTRUNC)) != 0;
  const cmsghdr* const header = received.size >= 0 ? CMSG_FIRSTHDR(&message) : nullptr;
  if (header == nullptr || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) {
    return received;
  }
  const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
  for (size_t i = 0; i < std::min(count, kMaxPassedDescriptors); ++i) {
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
    received.descriptors[i] = UniqueFd(fd);
  }
  return received;
}

}  // namespace farlet
