#include "runtime/vm/net/netlink.h"

#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

namespace farlet::net {
namespace {

// The kernel never answers late, but a lost answer must not hang a pod.
constexpr timeval kReceiveTimeout{.tv_sec = 5, .tv_usec = 0};
constexpr int kDumpTries = 5;

}  // namespace

void NetlinkRequest::Put(const void* data, size_t size) {
  const auto* begin = static_cast<const std::byte*>(data);
  bytes_.insert(bytes_.end(), begin, begin + size);
  bytes_.resize(NLMSG_ALIGN(bytes_.size()));
}

void NetlinkRequest::Add(uint16_t type, const void* data, size_t size) {
  const rtattr attribute{.rta_len = static_cast<uint16_t>(sizeof(rtattr) + size), .rta_type = type};
  Put(&attribute, sizeof(attribute));
  Put(data, size);
}

void NetlinkRequest::AddNested(uint16_t type, const std::function<void()>& fill) {
  const size_t begin = bytes_.size();
  Add(type, nullptr, 0);
  fill();
  const auto length = static_cast<uint16_t>(bytes_.size() - begin);
  std::memcpy(bytes_.data() + begin, &length, sizeof(length));
}

NetlinkAttributes::NetlinkAttributes(Bytes bytes) {
  while (bytes.size() >= sizeof(rtattr)) {
    rtattr attribute{};
    std::memcpy(&attribute, bytes.data(), sizeof(attribute));
    if (attribute.rta_len < sizeof(attribute) || attribute.rta_len > bytes.size()) {
      return;
    }
    const uint16_t type = attribute.rta_type & static_cast<uint16_t>(NLA_TYPE_MASK);
    if (type < kMaxType) {
      found_.at(type) =
          bytes.subspan(sizeof(attribute), size_t{attribute.rta_len} - sizeof(attribute));
    }
    bytes = bytes.subspan(std::min<size_t>(RTA_ALIGN(attribute.rta_len), bytes.size()));
  }
}

uint32_t NetlinkAttributes::Number(uint16_t type) const {
  return FixedPart<uint32_t>(Get(type));
}

std::string NetlinkAttributes::String(uint16_t type) const {
  const Bytes bytes = Get(type);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return std::string(text.substr(0, text.find('\0')));
}

Result<NetlinkSocket> NetlinkSocket::Open() {
  UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!fd.valid()) {
    return ErrnoError(errno, "open rtnetlink socket");
  }
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &kReceiveTimeout, sizeof(kReceiveTimeout)) !=
      0) {
    return ErrnoError(errno, "set timeout of rtnetlink socket");
  }
  return NetlinkSocket(std::move(fd));
}

Status NetlinkSocket::Send(NetlinkRequest& request, std::string_view what) {
  nlmsghdr header{};
  std::memcpy(&header, request.bytes_.data(), sizeof(header));
  header.nlmsg_len = static_cast<uint32_t>(request.bytes_.size());
  header.nlmsg_seq = ++sequence_;
  std::memcpy(request.bytes_.data(), &header, sizeof(header));
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  if (::sendto(fd_.get(), request.bytes_.data(), request.bytes_.size(), 0,
               reinterpret_cast<const sockaddr*>(&kernel), sizeof(kernel)) < 0) {
    return ErrnoError(errno, what);
  }
  return {};
}

Result<NetlinkSocket::Received> NetlinkSocket::Receive(std::string_view what,
                                                       Answer& answer,
                                                       const std::function<void(Bytes)>& each) {
  const ssize_t count = ::recv(fd_.get(), buffer_.data(), buffer_.size(), MSG_TRUNC);
  if (count < 0) {
    return errno == EINTR ? Result<Received>(Received::kMore)
                          : Result<Received>(ErrnoError(errno, what));
  }
  if (static_cast<size_t>(count) > buffer_.size()) {
    return Internal(std::string(what) + ": answer of the kernel is too long");
  }
  Bytes bytes(buffer_.data(), static_cast<size_t>(count));
  while (bytes.size() >= sizeof(nlmsghdr)) {
    const auto header = FixedPart<nlmsghdr>(bytes);
    if (header.nlmsg_len < sizeof(header) || header.nlmsg_len > bytes.size()) {
      break;
    }
    const Bytes content = bytes.subspan(sizeof(header), header.nlmsg_len - sizeof(header));
    bytes = bytes.subspan(std::min<size_t>(NLMSG_ALIGN(header.nlmsg_len), bytes.size()));
    if (header.nlmsg_seq != sequence_) {
      continue;  // left over from a request that timed out
    }
    answer.interrupted |= (header.nlmsg_flags & NLM_F_DUMP_INTR) != 0;
    if (header.nlmsg_type == NLMSG_ERROR || header.nlmsg_type == NLMSG_DONE) {
      answer.error = -FixedPart<int>(content);
      return Received::kDone;
    }
    if (each) {
      each(content);
    }
  }
  return Received::kMore;
}

Result<NetlinkSocket::Answer> NetlinkSocket::Exchange(NetlinkRequest request,
                                                      std::string_view what,
                                                      const std::function<void(Bytes)>& each) {
  FARLET_TRY(Send(request, what));
  Answer answer;
  while (true) {
    FARLET_ASSIGN(const Received received, Receive(what, answer, each));
    if (received == Received::kDone) {
      return answer;
    }
  }
}

Result<int> NetlinkSocket::RequestErrno(NetlinkRequest request, std::string_view what) {
  nlmsghdr header{};
  std::memcpy(&header, request.bytes_.data(), sizeof(header));
  header.nlmsg_flags |= NLM_F_ACK;
  std::memcpy(request.bytes_.data(), &header, sizeof(header));
  FARLET_ASSIGN(const Answer answer, Exchange(std::move(request), what, nullptr));
  return answer.error;
}

Status NetlinkSocket::Request(NetlinkRequest request, std::string_view what) {
  FARLET_ASSIGN(const int error, RequestErrno(std::move(request), what));
  if (error != 0) {
    return ErrnoError(error, what);
  }
  return {};
}

Status NetlinkSocket::Dump(const NetlinkRequest& request,
                           std::string_view what,
                           const std::function<void()>& begin,
                           const std::function<void(Bytes message)>& each) {
  for (int i = 0; i < kDumpTries; ++i) {
    begin();
    FARLET_ASSIGN(const Answer answer, Exchange(request, what, each));
    if (answer.error != 0) {
      return ErrnoError(answer.error, what);
    }
    if (!answer.interrupted) {
      return {};
    }
  }
  return MakeError(Code::kAborted, std::string(what) + ": it kept changing while it was read");
}

}  // namespace farlet::net
