#include "runtime/vm/boot_files.h"

#include "runtime/base/fd.h"
#include "runtime/base/file.h"
#include "runtime/base/sha256.h"

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <system_error>
#include <vector>

namespace farlet::vm {
namespace {

constexpr char kHint[] = "deploy/vm/build makes it";

Error Missing(const std::filesystem::path& path, std::string_view why) {
  return MakeError(Code::kFailedPrecondition, fmt::format("{}: {}; {}", path.string(), why, kHint));
}

Result<std::filesystem::path> Resolve(const std::filesystem::path& path) {
  std::error_code error;
  auto resolved = std::filesystem::canonical(path, error);
  if (error) {
    return Missing(path, error.message());
  }
  return resolved;
}

bool IsSha256(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// From lines of "<checksum>  <name>".
Result<std::string> RecordedSum(const std::filesystem::path& file) {
  const auto sums = file.parent_path() / "SHA256SUMS";
  const auto content = ReadFile(sums, 64u << 10);
  if (!content) {
    return Missing(sums, content.error().message);
  }
  std::string_view rest = *content;
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (line.size() > 66 && line.substr(66) == file.filename().string() &&
        IsSha256(line.substr(0, 64))) {
      return std::string(line.substr(0, 64));
    }
  }
  return Missing(sums, fmt::format("has no checksum of {}", file.filename().string()));
}

Status Verify(const std::filesystem::path& path, const std::string& expected) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) {
    return ErrnoError(errno, "open " + path.string());
  }
  Sha256 digest;
  std::vector<uint8_t> buffer(256u << 10);
  while (true) {
    const ssize_t count = ::read(fd.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count < 0) {
      return ErrnoError(errno, "read " + path.string());
    }
    if (count == 0) {
      break;
    }
    digest.Update({buffer.data(), static_cast<size_t>(count)});
  }
  if (digest.FinishHex() != expected) {
    return MakeError(
        Code::kDataLoss,
        fmt::format("{}: differs from its checksum; deploy/vm/build repairs it", path.string()));
  }
  return {};
}

}  // namespace

Result<BootFiles> FindBootFiles(const HostConfig& config) {
  BootFiles files;
  FARLET_ASSIGN(files.kernel, Annotate(Resolve(config.kernel), "the guest's kernel"));
  FARLET_ASSIGN(files.initramfs, Annotate(Resolve(config.initramfs), "the guest's initramfs"));
  FARLET_ASSIGN(files.kernel_sha256, RecordedSum(files.kernel));
  FARLET_ASSIGN(files.initramfs_sha256, RecordedSum(files.initramfs));
  return files;
}

Status VerifyBootFiles(const BootFiles& files) {
  FARLET_TRY(Verify(files.kernel, files.kernel_sha256));
  return Verify(files.initramfs, files.initramfs_sha256);
}

Result<std::string> FingerprintOf(const std::filesystem::path& program) {
  struct stat info {};

  if (::stat(program.c_str(), &info) != 0) {
    return MakeError(Code::kFailedPrecondition,
                     fmt::format("{}: {}; is QEMU installed?", program.string(),
                                 std::generic_category().message(errno)));
  }
  if (!S_ISREG(info.st_mode) || (info.st_mode & 0111) == 0) {
    return MakeError(Code::kFailedPrecondition,
                     fmt::format("{}: not an executable file", program.string()));
  }
  return fmt::format("{} {} {}.{} {}", program.string(), info.st_size, info.st_mtim.tv_sec,
                     info.st_mtim.tv_nsec, info.st_ino);
}

}  // namespace farlet::vm
