#include "runtime/shim/socket.h"

#include "runtime/base/file.h"
#include "runtime/base/sha256.h"

#include <fmt/format.h>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace farlet::shim {
namespace {

// sun_path less its final zero, and one byte that Go's implementation wants to spare.
constexpr size_t kMaxSocketPath = 106;
constexpr int kBacklog = 64;

Result<sockaddr_un> Address(const std::filesystem::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string text = path.string();
  if (text.size() > kMaxSocketPath) {
    return InvalidArgument(
        fmt::format("socket {}: path longer than {} bytes", text, kMaxSocketPath));
  }
  std::copy(text.begin(), text.end(), static_cast<char*>(address.sun_path));
  return address;
}

const sockaddr* Generic(const sockaddr_un& address) {
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): the sockets API asks for it.
  return reinterpret_cast<const sockaddr*>(&address);
}

UniqueFd NewSocket(SocketKind kind) {
  const int type = kind == SocketKind::kStream ? SOCK_STREAM : SOCK_SEQPACKET;
  return UniqueFd(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
}

}  // namespace

Result<std::filesystem::path> SocketPath(const std::filesystem::path& folder,
                                         std::string_view containerd_address,
                                         std::string_view containerd_namespace,
                                         std::string_view group) {
  const std::string key = (std::filesystem::path(containerd_address) / containerd_namespace / group)
                              .lexically_normal()
                              .string();
  const std::filesystem::path path = folder / Sha256Hex(key);
  FARLET_TRY(Address(path));
  return path;
}

Result<UniqueFd> ConnectUnix(const std::filesystem::path& path, SocketKind kind) {
  FARLET_ASSIGN(const sockaddr_un address, Address(path));
  UniqueFd fd = NewSocket(kind);
  if (!fd.valid()) {
    return ErrnoError(errno, "create a socket");
  }
  if (::connect(fd.get(), Generic(address), sizeof(address)) != 0) {
    return ErrnoError(errno, "connect to " + path.string());
  }
  return fd;
}

Result<UniqueFd> ListenUnix(const std::filesystem::path& path, SocketKind kind) {
  FARLET_ASSIGN(const sockaddr_un address, Address(path));
  FARLET_TRY(MakeDirectories(path.parent_path(), 0711));
  if (ConnectUnix(path, kind)) {
    return MakeError(Code::kAlreadyExists, fmt::format("socket {}: in use", path.string()));
  }
  UniqueFd fd = NewSocket(kind);
  if (!fd.valid()) {
    return ErrnoError(errno, "create a socket");
  }
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
    return ErrnoError(errno, "remove " + path.string());
  }
  // The mode of a socket is what umask leaves of 0777 at bind, so that nobody gets in before chmod.
  const mode_t before = ::umask(0177);
  const int bound = ::bind(fd.get(), Generic(address), sizeof(address));
  const int bind_error = errno;
  ::umask(before);
  if (bound != 0) {
    return ErrnoError(bind_error, "bind " + path.string());
  }
  if (::listen(fd.get(), kBacklog) != 0) {
    return ErrnoError(errno, "listen on " + path.string());
  }
  return fd;
}

}  // namespace farlet::shim
