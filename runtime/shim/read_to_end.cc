#include "runtime/shim/read_to_end.h"

#include <unistd.h>

#include <array>
#include <cerrno>

namespace farlet::shim {

Result<std::string> ReadToEnd(int fd, size_t max_bytes, std::string_view what) {
  std::string text;
  std::array<char, 4096> buffer{};
  for (;;) {
    const ssize_t count = ::read(fd, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count < 0) {
      return Wrap(what, ErrnoError(errno, "read"));
    }
    if (count == 0) {
      return text;
    }
    text.append(buffer.data(), static_cast<size_t>(count));
    if (text.size() > max_bytes) {
      return Wrap(what, InvalidArgument("too long"));
    }
  }
}

}  // namespace farlet::shim
