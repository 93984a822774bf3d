#include "runtime/vm/net/loopback_forwarder.h"

#include "runtime/base/log.h"
#include "runtime/vm/net/loopback_program.h"
#include "runtime/vm/net/namespace.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

namespace farlet::net {
namespace {

// After an accept that found no descriptor: the connection waits in the backlog.
constexpr int kOutOfDescriptorsPauseMs = 100;

Status BringLoopbackUp() {
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) {
    return ErrnoError(errno, "open socket for lo");
  }
  ifreq request{};
  std::memcpy(static_cast<char*>(request.ifr_name), "lo", 3);
  if (::ioctl(socket.get(), SIOCGIFFLAGS, &request) != 0) {
    return ErrnoError(errno, "lo: read flags");
  }
  if ((request.ifr_flags & IFF_UP) != 0) {
    return {};
  }
  request.ifr_flags |= IFF_UP;
  if (::ioctl(socket.get(), SIOCSIFFLAGS, &request) != 0) {
    return ErrnoError(errno, "lo: bring up");
  }
  return {};
}

// On a port of the kernel's choice: clients come by the program, whatever they dial.
Result<UniqueFd> Listen(const sockaddr* address, socklen_t size) {
  UniqueFd socket(::socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket.valid()) {
    return ErrnoError(errno, "open loopback listener");
  }
  if (::bind(socket.get(), address, size) != 0 || ::listen(socket.get(), SOMAXCONN) != 0) {
    return ErrnoError(errno, "listen on loopback");
  }
  return socket;
}

Result<UniqueFd> ListenIpv4() {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return Listen(reinterpret_cast<const sockaddr*>(&address), sizeof(address));
}

// Without a descriptor where the kernel or the namespace has no IPv6.
Result<UniqueFd> ListenIpv6() {
  const UniqueFd probe(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_addr = in6addr_loopback;
  if (!probe.valid() ||
      ::bind(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return UniqueFd();
  }
  return Listen(reinterpret_cast<const sockaddr*>(&address), sizeof(address));
}

uint16_t DialledPort(int connection) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  if (::getsockname(connection, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    return 0;
  }
  return ntohs(address.ss_family == AF_INET
                   ? reinterpret_cast<const sockaddr_in*>(&address)->sin_port
                   : reinterpret_cast<const sockaddr_in6*>(&address)->sin6_port);
}

}  // namespace

Result<LoopbackForwarder::Parts> LoopbackForwarder::Prepare(int netns) {
  FARLET_TRY(BringLoopbackUp());
  Parts parts;
  FARLET_ASSIGN(parts.ipv4, ListenIpv4());
  FARLET_ASSIGN(parts.ipv6, ListenIpv6());
  FARLET_ASSIGN(parts.link, AttachLoopbackProgram(netns, parts.ipv4.get(), parts.ipv6.get()));
  return parts;
}

Result<std::unique_ptr<LoopbackForwarder>> LoopbackForwarder::Start(
    const std::filesystem::path& netns_path, Handler handler) {
  const std::string what = "forward loopback connections of " + netns_path.string();
  FARLET_ASSIGN(const UniqueFd netns, Annotate(OpenNetns(netns_path), what));
  Parts parts;
  FARLET_TRY(Annotate(RunInNetns(netns.get(),
                                 [&]() -> Status {
                                   FARLET_ASSIGN(parts, Prepare(netns.get()));
                                   return {};
                                 }),
                      what));
  UniqueFd stop(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!stop.valid()) {
    return ErrnoError(errno, what + ": make eventfd");
  }
  try {
    return std::unique_ptr<LoopbackForwarder>(
        new LoopbackForwarder(std::move(parts), std::move(stop), std::move(handler)));
  } catch (const std::system_error& error) {
    return MakeError(Code::kResourceExhausted, what + ": start thread: " + error.what());
  }
}

LoopbackForwarder::LoopbackForwarder(Parts parts, UniqueFd stop, Handler handler)
    : parts_(std::move(parts)),
      stop_(std::move(stop)),
      handler_(std::move(handler)),
      thread_([this] { Run(); }) {}

LoopbackForwarder::~LoopbackForwarder() {
  const uint64_t one = 1;
  while (::write(stop_.get(), &one, sizeof(one)) < 0 && errno == EINTR) {
  }
  thread_.join();
}

void LoopbackForwarder::Run() {
  std::array<pollfd, 3> watched{{{.fd = stop_.get(), .events = POLLIN, .revents = 0},
                                 {.fd = parts_.ipv4.get(), .events = POLLIN, .revents = 0},
                                 {.fd = parts_.ipv6.get(), .events = POLLIN, .revents = 0}}};
  while (true) {
    if (::poll(watched.data(), watched.size(), -1) < 0 && errno != EINTR) {
      log::Error("loopback forwarder stopped", {{"error", ErrnoError(errno, "poll")}});
      return;
    }
    if (watched[0].revents != 0) {
      return;
    }
    for (size_t i = 1; i < watched.size(); ++i) {
      if ((watched.at(i).revents & POLLIN) == 0) {
        continue;
      }
      UniqueFd connection(
          ::accept4(watched.at(i).fd, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (connection.valid()) {
        const uint16_t port = DialledPort(connection.get());
        handler_(port, i == 1 ? AF_INET : AF_INET6, std::move(connection));
      } else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
        (void)::poll(watched.data(), 1, kOutOfDescriptorsPauseMs);
      }
    }
  }
}

}  // namespace farlet::net
