#include "runtime/vm/disk/image_build.h"

#include "runtime/base/fd.h"
#include "runtime/base/file.h"
#include "runtime/base/undo.h"
#include "runtime/vm/disk/image_paths.h"
#include "runtime/vm/disk/manifest.h"
#include "runtime/vm/disk/program.h"

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>

namespace farlet::disk {
namespace {

constexpr uint32_t kMagic = 0xe0f5e1e2;  // EROFS_SUPER_MAGIC_V1, little endian
constexpr off_t kSuperBlock = 1024;

// Its size, if it is an erofs image.
Result<uint64_t> CheckImage(const std::filesystem::path& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) {
    return ErrnoError(errno, "open " + path.string());
  }
  uint32_t magic = 0;

  struct stat info {};

  if (::pread(fd.get(), &magic, sizeof(magic), kSuperBlock) != sizeof(magic) || magic != kMagic ||
      ::fstat(fd.get(), &info) != 0) {
    return Internal("mkfs.erofs made no erofs image of " + path.string());
  }
  return static_cast<uint64_t>(info.st_size);
}

Status MakeErofs(const ImageCacheOptions& options,
                 const std::vector<std::filesystem::path>& lowerdirs,
                 const std::filesystem::path& image) {
  const std::filesystem::path empty = options.folder / "empty";
  const std::filesystem::path place = options.folder / "view";
  FARLET_TRY(MakeDirectories(empty, 0755));
  FARLET_TRY(MakeDirectories(place, 0755));
  OverlayView view{.lowers = lowerdirs, .place = place};
  // One layer alone makes no overlay, but may hold whiteouts like any other.
  view.lowers.push_back(empty);
  return Run({.path = options.mkfs_erofs,
              .arguments = {"--quiet", "--preserve-mtime", image, place},
              .timeout = options.build_timeout,
              .view = &view});
}

}  // namespace

void RemoveUnfinished(const std::filesystem::path& folder, const std::string& key) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    if (entry.path().filename().string().starts_with(UnfinishedPrefix(key))) {
      ::unlink(entry.path().c_str());
    }
  }
}

Status BuildImage(const ImageCacheOptions& options,
                  const std::string& key,
                  const std::vector<std::filesystem::path>& lowerdirs) {
  static std::atomic<uint32_t> builds = 0;
  RemoveUnfinished(options.folder, key);
  const ImagePaths paths(options.folder, key);
  // A name of its own: should a killed process have left its mkfs running, that writes elsewhere.
  const std::filesystem::path image =
      options.folder / fmt::format("{}{}-{}", UnfinishedPrefix(key), ::getpid(), ++builds);
  Undo remove([&] {
    ::unlink(image.c_str());
    ::unlink(paths.manifest.c_str());
  });
  FARLET_TRY(MakeErofs(options, lowerdirs, image));
  FARLET_ASSIGN(const uint64_t bytes, CheckImage(image));
  if (options.slot_bytes != 0 && bytes > options.slot_bytes) {
    return InvalidArgument(fmt::format("an image of {} bytes does not fit a disk of {} bytes",
                                       bytes, options.slot_bytes));
  }
  if (options.slot_bytes != 0 &&
      ::truncate(image.c_str(), static_cast<off_t>(options.slot_bytes)) != 0) {
    return ErrnoError(errno, "extend " + image.string());
  }
  if (::chmod(image.c_str(), 0400) != 0) {
    return ErrnoError(errno, "chmod " + image.string());
  }
  if (::rename(image.c_str(), paths.image.c_str()) != 0) {
    return ErrnoError(errno, "rename " + image.string());
  }
  // A rename changes the change time, so the manifest comes last; without it the image is void.
  Undo remove_image([&] { ::unlink(paths.image.c_str()); });
  FARLET_TRY(WriteManifest(paths.image, paths.manifest, bytes));
  remove_image.Dismiss();
  remove.Dismiss();
  return {};
}

}  // namespace farlet::disk
