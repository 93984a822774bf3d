#include "runtime/ttrpc/unix_socket.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

namespace farlet::ttrpc {
namespace {

Result<sockaddr_un> Address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path) ||
      path.find('\0') != std::string::npos) {
    return InvalidArgument("unix socket \"" + path + "\": a path has 1 to " +
                           std::to_string(sizeof(address.sun_path) - 1) + " bytes");
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

Result<UniqueFd> NewSocket(const std::string& path) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) {
    return ErrnoError(errno, "socket for " + path);
  }
  return fd;
}

}  // namespace

Result<UniqueFd> ConnectUnix(const std::string& path) {
  FARLET_ASSIGN(const sockaddr_un address, Address(path));
  FARLET_ASSIGN(UniqueFd fd, NewSocket(path));
  // The descriptor does not block: a full queue is EAGAIN, and nothing is ever "in progress".
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return ErrnoError(errno, "connect to " + path);
  }
  return fd;
}

Result<UniqueFd> ListenUnix(const std::string& path, mode_t mode) {
  FARLET_ASSIGN(const sockaddr_un address, Address(path));
  FARLET_ASSIGN(UniqueFd fd, NewSocket(path));
  // The file inherits the mode of the unbound socket, less the umask; the rest is added afterwards.
  if (::fchmod(fd.get(), mode) != 0) {
    return ErrnoError(errno, "chmod socket for " + path);
  }
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return ErrnoError(errno, "bind " + path);
  }
  if (::chmod(path.c_str(), mode) != 0 || ::listen(fd.get(), SOMAXCONN) != 0) {
    const int saved_errno = errno;
    ::unlink(path.c_str());
    return ErrnoError(saved_errno, "listen on " + path);
  }
  return fd;
}

}  // namespace farlet::ttrpc
