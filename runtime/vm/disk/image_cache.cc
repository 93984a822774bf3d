#include "runtime/vm/disk/image_cache.h"

#include "runtime/base/file.h"
#include "runtime/base/log.h"
#include "runtime/base/sha256.h"
#include "runtime/vm/disk/file_lock.h"
#include "runtime/vm/disk/image_build.h"
#include "runtime/vm/disk/image_paths.h"
#include "runtime/vm/disk/manifest.h"

#include <fmt/format.h>

#include <sys/stat.h>

#include <cerrno>
#include <optional>
#include <utility>

namespace farlet::disk {
namespace {

// Part of every key: another way to build makes other images.
constexpr std::string_view kBuildVersion = "erofs-1";
constexpr size_t kMaxLayers = 128;
// Between a build and its lease, somebody may remove the image.
constexpr int kTries = 5;

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

// With the lock's file held: the image, if it is good.
Result<LeasedImage> ImageCache::Lease(const std::string& key) const {
  const ImagePaths paths(options_.folder, key);
  FARLET_ASSIGN(UniqueFd lock, Lock(paths.lock, LockKind::kShared));
  FARLET_ASSIGN(const Manifest manifest, CheckAgainstManifest(paths.image, paths.manifest));
  FARLET_TRY(NoteUse(lock, paths.lock));
  return LeasedImage{.path = paths.image, .bytes = manifest.bytes, .lease = std::move(lock)};
}

Result<LeasedImage> ImageCache::BuildAndLease(const std::string& key,
                                              const std::vector<std::filesystem::path>& lowerdirs) {
  const ImagePaths paths(options_.folder, key);
  FARLET_ASSIGN(UniqueFd lock, Lock(paths.lock, LockKind::kExclusive));
  Result<Manifest> manifest = CheckAgainstManifest(paths.image, paths.manifest);
  const bool build = !manifest;
  if (build) {
    if (manifest.error().code == Code::kDataLoss) {
      log::Warning("disk image is damaged and built again", {{"error", manifest.error()}});
    }
    Status built = BuildImage(options_, key, lowerdirs);
    if (!built && built.error().code == Code::kResourceExhausted) {
      FARLET_TRY(CollectDownTo(0, std::chrono::seconds(0)));
      built = BuildImage(options_, key, lowerdirs);
    }
    FARLET_TRY(Annotate(std::move(built), "build image of " + lowerdirs.front().string()));
    manifest = CheckAgainstManifest(paths.image, paths.manifest);
    FARLET_TRY(Annotate(manifest, "check new image"));
  }
  FARLET_TRY(NoteUse(lock, paths.lock));
  FARLET_ASSIGN(const bool kept, MakeShared(lock, paths.lock));

  struct stat info {};

  if (!kept || ::stat(paths.image.c_str(), &info) != 0) {
    return NotFound("image " + paths.image.string() + " was removed");
  }
  return LeasedImage{
      .path = paths.image, .bytes = manifest->bytes, .built = build, .lease = std::move(lock)};
}

Result<LeasedImage> ImageCache::Ensure(const std::vector<std::filesystem::path>& lowerdirs) {
  FARLET_ASSIGN(const std::string key, KeyOf(lowerdirs));
  FARLET_TRY(MakeDirectories(options_.folder, 0700));
  Result<LeasedImage> image = NotFound("no image");
  for (int i = 0; i < kTries && !image; ++i) {
    image = Lease(key);
    if (!image &&
        (image.error().code == Code::kNotFound || image.error().code == Code::kDataLoss)) {
      image = BuildAndLease(key, lowerdirs);
    }
    if (!image && image.error().code != Code::kNotFound) {
      break;
    }
  }
  return Annotate(std::move(image), "image cache " + options_.folder.string());
}

}  // namespace farlet::disk
