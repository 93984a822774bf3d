#include "runtime/vm/disk/image_cache.h"

#include "runtime/base/file.h"
#include "runtime/base/file_lock.h"
#include "runtime/base/log.h"
#include "runtime/base/sha256.h"
#include "runtime/vm/disk/image_build.h"
#include "runtime/vm/disk/image_paths.h"
#include "runtime/vm/disk/manifest.h"

#include <fmt/format.h>

#include <sys/stat.h>

#include <cerrno>
#include <utility>

namespace farlet::disk {
namespace {

// Part of every key: another way to build makes other images.
constexpr std::string_view kBuildVersion = "erofs-1";
constexpr size_t kMaxLayers = 128;

Status NoteUse(const UniqueFd& lock, const std::filesystem::path& path) {
  if (::futimens(lock.get(), nullptr) != 0) {
    return ErrnoError(errno, "touch " + path.string());
  }
  return {};
}

}  // namespace

ImageCache::ImageCache(ImageCacheOptions options) : options_(std::move(options)) {}

Result<std::string> ImageCache::KeyOf(const std::vector<std::filesystem::path>& lowerdirs) const {
  if (lowerdirs.empty() || lowerdirs.size() > kMaxLayers) {
    return InvalidArgument(
        fmt::format("an image needs 1 to {} layers, not {}", kMaxLayers, lowerdirs.size()));
  }
  std::string identity(kBuildVersion);
  identity += fmt::format("\nslot {}\n", options_.slot_bytes);
  for (const std::filesystem::path& lowerdir : lowerdirs) {
    struct stat info {};

    if (::stat(lowerdir.c_str(), &info) != 0) {
      return ErrnoError(errno, "layer " + lowerdir.string());
    }
    if (!S_ISDIR(info.st_mode)) {
      return ErrnoError(ENOTDIR, "layer " + lowerdir.string());
    }
    identity += fmt::format("{} {} {} {}.{:09} {}.{:09}\n", lowerdir.string(), info.st_dev,
                            info.st_ino, info.st_mtim.tv_sec, info.st_mtim.tv_nsec,
                            info.st_ctim.tv_sec, info.st_ctim.tv_nsec);
  }
  return Sha256Hex(identity);
}

// Called with the image leased, and so never removed meanwhile. Others may have leased it, too, for
// as long as their pods live, so who builds is settled by a lock of its own.
Result<Manifest> ImageCache::Build(const std::string& key,
                                   const std::vector<std::filesystem::path>& lowerdirs,
                                   bool& built) {
  const ImagePaths paths(options_.folder, key);
  FARLET_ASSIGN(const UniqueFd building, LockFile(paths.building, LockKind::kExclusive));
  Result<Manifest> manifest = CheckAgainstManifest(paths.image, paths.manifest);
  if (manifest) {
    return manifest;  // by another meanwhile
  }
  if (manifest.error().code == Code::kDataLoss) {
    log::Warning("disk image is damaged and built again", {{"error", manifest.error()}});
  }
  Status done = BuildImage(options_, key, lowerdirs);
  if (!done && done.error().code == Code::kResourceExhausted) {
    FARLET_TRY(CollectDownTo(0, std::chrono::seconds(0)));
    done = BuildImage(options_, key, lowerdirs);
  }
  FARLET_TRY(Annotate(std::move(done), "build image of " + lowerdirs.front().string()));
  built = true;
  return Annotate(CheckAgainstManifest(paths.image, paths.manifest), "check new image");
}

Result<LeasedImage> ImageCache::Lease(const std::string& key,
                                      const std::vector<std::filesystem::path>& lowerdirs) {
  const ImagePaths paths(options_.folder, key);
  LeasedImage image{.path = paths.image};
  FARLET_ASSIGN(image.lease, LockFile(paths.lock, LockKind::kShared));
  Result<Manifest> manifest = CheckAgainstManifest(paths.image, paths.manifest);
  if (!manifest &&
      (manifest.error().code == Code::kNotFound || manifest.error().code == Code::kDataLoss)) {
    manifest = Build(key, lowerdirs, image.built);
  }
  FARLET_TRY(manifest);
  image.bytes = manifest->bytes;
  FARLET_TRY(NoteUse(image.lease, paths.lock));
  return image;
}

Result<LeasedImage> ImageCache::Ensure(const std::vector<std::filesystem::path>& lowerdirs) {
  FARLET_ASSIGN(const std::string key, KeyOf(lowerdirs));
  FARLET_TRY(MakeDirectories(options_.folder, 0700));
  return Annotate(Lease(key, lowerdirs), "image cache " + options_.folder.string());
}

}  // namespace farlet::disk
