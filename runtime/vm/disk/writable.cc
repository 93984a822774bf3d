#include "runtime/vm/disk/writable.h"

#include "runtime/base/fd.h"
#include "runtime/base/file.h"
#include "runtime/base/file_lock.h"
#include "runtime/base/undo.h"
#include "runtime/vm/disk/checksum.h"
#include "runtime/vm/disk/manifest.h"
#include "runtime/vm/disk/program.h"
#include "runtime/vm/disk/sparse_copy.h"

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace farlet::disk {
namespace {

constexpr uint64_t kMinBytes = 16u << 20;
constexpr uint64_t kBlockBytes = 4096;

// Fixed, whatever the host's mke2fs.conf says: the guest's kernel is the one that has to know them.
// metadata_csum_seed lets the UUID change without all checksums.
constexpr const char* kFeatures =
    "none,ext_attr,dir_index,filetype,extent,flex_bg,sparse_super,large_file,huge_file,dir_nlink,"
    "extra_isize,64bit,metadata_csum,metadata_csum_seed";

// The ext4 super block, see the kernel's documentation of its layout.
constexpr off_t kSuperBlock = 1024;
constexpr size_t kSuperBlockBytes = 1024;
constexpr size_t kMagicAt = 0x38;
constexpr size_t kUuidAt = 0x68;
constexpr size_t kChecksumAt = 0x3fc;
constexpr uint16_t kMagic = 0xef53;

Status GiveUuid(int fd, const std::string& path) {
  std::array<std::byte, kSuperBlockBytes> block{};
  if (::pread(fd, block.data(), block.size(), kSuperBlock) != static_cast<ssize_t>(block.size())) {
    return Internal("read super block of " + path);
  }
  uint16_t magic = 0;
  std::memcpy(&magic, block.data() + kMagicAt, sizeof(magic));
  if (magic != kMagic) {
    return MakeError(Code::kDataLoss, path + " is no ext4 file system");
  }
  std::array<uint8_t, 16> uuid{};
  if (::getrandom(uuid.data(), uuid.size(), 0) != static_cast<ssize_t>(uuid.size())) {
    return ErrnoError(errno, "get random bytes");
  }
  uuid[6] = static_cast<uint8_t>((uuid[6] & 0x0fU) | 0x40U);  // version 4, random
  uuid[8] = static_cast<uint8_t>((uuid[8] & 0x3fU) | 0x80U);
  std::memcpy(block.data() + kUuidAt, uuid.data(), uuid.size());
  const uint32_t checksum = Crc32c(~0U, std::span(block).subspan(0, kChecksumAt));
  std::memcpy(block.data() + kChecksumAt, &checksum, sizeof(checksum));
  if (::pwrite(fd, block.data(), block.size(), kSuperBlock) != static_cast<ssize_t>(block.size())) {
    return ErrnoError(errno, "write super block of " + path);
  }
  return {};
}

struct TemplatePaths {
  TemplatePaths(const std::filesystem::path& folder, uint64_t bytes)
      : image(folder / fmt::format("ext4-{}.img", bytes)),
        manifest(folder / fmt::format("ext4-{}.manifest", bytes)),
        lock(folder / fmt::format("ext4-{}.lock", bytes)) {}

  std::filesystem::path image;
  std::filesystem::path manifest;
  std::filesystem::path lock;
};

// With the lock held exclusively.
Status MakeTemplate(const TemplatePaths& paths, uint64_t bytes, const WritableOptions& options) {
  const std::string image = paths.image.string() + ".new";
  ::unlink(image.c_str());
  Undo remove([&] { ::unlink(image.c_str()); });
  {
    const UniqueFd fd(::open(image.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!fd.valid()) {
      return ErrnoError(errno, "create " + image);
    }
    if (::ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0) {
      return ErrnoError(errno, "extend " + image);
    }
  }
  FARLET_TRY(
      Run({.path = options.mkfs_ext4,
           .arguments = {"-q", "-F", "-m", "0", "-b", std::to_string(kBlockBytes), "-I", "256",
                         "-O", kFeatures,
                         // The file is all zeros, so inode tables need no zeroing: neither
                         // here nor by the guest's kernel later.
                         "-E", "assume_storage_prezeroed=1,nodiscard,root_owner=0:0", image}}));
  if (::rename(image.c_str(), paths.image.c_str()) != 0) {
    return ErrnoError(errno, "rename " + image);
  }
  remove.Dismiss();
  FARLET_TRY(WriteManifest(paths.image, paths.manifest, bytes));
  return {};
}

// The template, opened, with a lock that keeps it as it is.
struct Template {
  UniqueFd lock;
  UniqueFd image;
};

Result<Template> OpenTemplate(uint64_t bytes, const WritableOptions& options) {
  const TemplatePaths paths(options.template_folder, bytes);
  Template opened;
  FARLET_ASSIGN(opened.lock, LockFile(paths.lock, LockKind::kShared));
  if (!CheckAgainstManifest(paths.image, paths.manifest)) {
    opened.lock.Close();
    FARLET_ASSIGN(opened.lock, LockFile(paths.lock, LockKind::kExclusive));
    if (!CheckAgainstManifest(paths.image, paths.manifest)) {
      FARLET_TRY(Annotate(MakeTemplate(paths, bytes, options), "make ext4 template"));
    }
  }
  opened.image = UniqueFd(::open(paths.image.c_str(), O_RDONLY | O_CLOEXEC));
  if (!opened.image.valid()) {
    return ErrnoError(errno, "open " + paths.image.string());
  }
  return opened;
}

Status CopyTemplate(const std::filesystem::path& path,
                    uint64_t bytes,
                    const WritableOptions& options) {
  FARLET_TRY(MakeDirectories(options.template_folder, 0700));
  const UniqueFd disk(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!disk.valid()) {
    return ErrnoError(errno, "create");
  }
  Undo remove([&] { ::unlink(path.c_str()); });
  FARLET_ASSIGN(const Template source, OpenTemplate(bytes, options));
  FARLET_TRY(Annotate(SparseCopy(source.image.get(), disk.get()), "copy ext4 template"));
  FARLET_TRY(GiveUuid(disk.get(), path));
  if (options.slot_bytes > bytes &&
      ::ftruncate(disk.get(), static_cast<off_t>(options.slot_bytes)) != 0) {
    return ErrnoError(errno, "extend");
  }
  remove.Dismiss();
  return {};
}

}  // namespace

Status CreateWritable(const std::filesystem::path& path,
                      uint64_t bytes,
                      const WritableOptions& options) {
  const std::string what = "make disk " + path.string();
  bytes = bytes / kBlockBytes * kBlockBytes;
  if (bytes < kMinBytes || (options.slot_bytes != 0 && bytes > options.slot_bytes)) {
    return InvalidArgument(fmt::format("{}: a size of {} bytes is not between {} and {}", what,
                                       bytes, kMinBytes, options.slot_bytes));
  }
  return Annotate(CopyTemplate(path, bytes, options), what);
}

}  // namespace farlet::disk
