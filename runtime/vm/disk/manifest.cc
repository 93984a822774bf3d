#include "runtime/vm/disk/manifest.h"

#include "runtime/base/fd.h"
#include "runtime/base/file.h"
#include "runtime/vm/disk/checksum.h"

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <sstream>
#include <string>

namespace farlet::disk {
namespace {

constexpr std::string_view kFormat = "farlet-disk-1";
constexpr size_t kMaxManifest = 4096;

std::string BootId() {
  const auto id = ReadFile("/proc/sys/kernel/random/boot_id", kMaxManifest);
  return id ? id->substr(0, id->find('\n')) : "unknown";
}

struct Stamp {
  uint64_t inode = 0;
  int64_t ctime_sec = 0;
  int64_t ctime_nsec = 0;
  uint64_t length = 0;

  bool operator==(const Stamp&) const = default;
};

Result<Stamp> StampOf(int fd, const std::filesystem::path& file) {
  struct stat info {};

  if (::fstat(fd, &info) != 0) {
    return ErrnoError(errno, "stat " + file.string());
  }
  return Stamp{.inode = info.st_ino,
               .ctime_sec = info.st_ctim.tv_sec,
               .ctime_nsec = info.st_ctim.tv_nsec,
               .length = static_cast<uint64_t>(info.st_size)};
}

Result<UniqueFd> Open(const std::filesystem::path& file) {
  UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.valid()) {
    return ErrnoError(errno, "open " + file.string());
  }
  return fd;
}

Status Save(const std::filesystem::path& path, const Manifest& manifest, const Stamp& stamp) {
  return WriteFileAtomic(
      path,
      fmt::format("{} {} {} {} {} {} {} {}\n", kFormat, manifest.bytes, manifest.checksum,
                  stamp.inode, stamp.ctime_sec, stamp.ctime_nsec, stamp.length, BootId()),
      0600);
}

}  // namespace

Result<Manifest> WriteManifest(const std::filesystem::path& file,
                               const std::filesystem::path& manifest,
                               uint64_t bytes) {
  FARLET_ASSIGN(const UniqueFd fd, Open(file));
  FARLET_ASSIGN(const Stamp stamp, StampOf(fd.get(), file));
  Manifest written{.bytes = bytes};
  FARLET_ASSIGN(written.checksum, Annotate(ChecksumOf(fd.get(), bytes), file.string()));
  FARLET_TRY(Save(manifest, written, stamp));
  return written;
}

Result<Manifest> CheckAgainstManifest(const std::filesystem::path& file,
                                      const std::filesystem::path& manifest) {
  FARLET_ASSIGN(const std::string content, ReadFile(manifest, kMaxManifest));
  FARLET_ASSIGN(const UniqueFd fd, Open(file));
  FARLET_ASSIGN(const Stamp stamp, StampOf(fd.get(), file));
  std::istringstream fields(content);
  std::string format;
  std::string boot;
  Manifest known;
  Stamp old;
  fields >> format >> known.bytes >> known.checksum >> old.inode >> old.ctime_sec >>
      old.ctime_nsec >> old.length >> boot;
  if (!fields || format != kFormat) {
    return MakeError(Code::kDataLoss, "manifest " + manifest.string() + " is damaged");
  }
  if (old == stamp && boot == BootId()) {
    return known;
  }
  if (old.length != stamp.length || known.bytes > stamp.length) {
    return MakeError(Code::kDataLoss, file.string() + " has another length than when it was made");
  }
  FARLET_ASSIGN(const uint32_t checksum,
                Annotate(ChecksumOf(fd.get(), known.bytes), file.string()));
  if (checksum != known.checksum) {
    return MakeError(Code::kDataLoss,
                     file.string() + " has another checksum than when it was made");
  }
  FARLET_TRY(Save(manifest, known, stamp));
  return known;
}

}  // namespace farlet::disk
