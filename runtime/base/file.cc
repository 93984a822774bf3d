#include "runtime/base/file.h"

#include "runtime/base/fd.h"
#include "runtime/base/undo.h"

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <system_error>

namespace farlet {
namespace {

Status WriteAll(int fd, std::string_view content, const std::string& path) {
  while (!content.empty()) {
    const ssize_t written = ::write(fd, content.data(), content.size());
    if (written < 0) {
      if (errno == EINTR) {
        continue;
      }
      return ErrnoError(errno, "write " + path);
    }
    content.remove_prefix(static_cast<size_t>(written));
  }
  return {};
}

}  // namespace

Result<std::string> ReadFile(const std::filesystem::path& path, size_t max_bytes) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) {
    return ErrnoError(errno, "open " + path.string());
  }
  std::string content;
  std::array<char, 65536> buffer{};
  while (true) {
    const ssize_t count = ::read(fd.get(), buffer.data(), buffer.size());
    if (count < 0) {
      if (errno == EINTR) {
        continue;
      }
      return ErrnoError(errno, "read " + path.string());
    }
    if (count == 0) {
      return content;
    }
    content.append(buffer.data(), static_cast<size_t>(count));
    if (content.size() > max_bytes) {
      return MakeError(Code::kResourceExhausted,
                       fmt::format("read {}: larger than {} bytes", path.string(), max_bytes));
    }
  }
}

Status WriteFileAtomic(const std::filesystem::path& path, std::string_view content, mode_t mode) {
  std::string temporary = path.string() + ".tmp-XXXXXX";
  const UniqueFd fd(::mkostemp(temporary.data(), O_CLOEXEC));
  if (!fd.valid()) {
    return ErrnoError(errno, "create " + temporary);
  }
  Undo remove([&] { ::unlink(temporary.c_str()); });
  FARLET_TRY(WriteAll(fd.get(), content, temporary));
  if (::fchmod(fd.get(), mode) != 0) {
    return ErrnoError(errno, "chmod " + temporary);
  }
  if (::fsync(fd.get()) != 0) {
    return ErrnoError(errno, "fsync " + temporary);
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    return ErrnoError(errno, "rename " + temporary + " to " + path.string());
  }
  remove.Dismiss();
  return {};
}

Status WriteKernelFile(const std::filesystem::path& path, std::string_view text) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd.valid()) {
    return ErrnoError(errno, "open " + path.string());
  }
  ssize_t written = -1;
  do {
    written = ::write(fd.get(), text.data(), text.size());
  } while (written < 0 && errno == EINTR);
  if (written < 0) {
    return ErrnoError(errno, fmt::format("write \"{}\" to {}", text.substr(0, 64), path.string()));
  }
  return {};
}

Status MakeDirectories(const std::filesystem::path& path, mode_t mode) {
  std::error_code error;
  const bool created = std::filesystem::create_directories(path, error);
  if (error) {
    return ErrnoError(error.value(), "create folder " + path.string());
  }
  if (created && ::chmod(path.c_str(), mode) != 0) {
    return ErrnoError(errno, "chmod " + path.string());
  }
  return {};
}

}  // namespace farlet
