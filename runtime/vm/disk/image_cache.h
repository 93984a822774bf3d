#pragma once

#include "runtime/base/fd.h"
#include "runtime/base/result.h"
#include "runtime/vm/disk/manifest.h"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace farlet::disk {

// The capacity of a disk slot: files are extended to it, so that a slot never changes its size.
inline constexpr uint64_t kSlotBytes = uint64_t{64} << 30;

struct ImageCacheOptions {
  std::filesystem::path folder;                     // made when missing, mode 0700
  std::filesystem::path mkfs_erofs = "mkfs.erofs";  // looked up in $PATH and the sbin folders
  uint64_t slot_bytes = kSlotBytes;                 // 0: images keep their size
  uint64_t max_bytes = uint64_t{20} << 30;          // Collect(): all images together, on disk
  std::chrono::seconds max_age{7 * 24 * 3600};      // Collect(): since an image was last used
  std::chrono::seconds build_timeout{300};
};

// An image and the right to rely on it: no Collect() of any process removes it while this lives.
// The right ends with the process too, however that ends (it is a shared flock).
struct LeasedImage {
  std::filesystem::path path;  // read-only erofs, slot_bytes long, sparse
  uint64_t bytes = 0;          // of the file system in it
  bool built = false;          // by this call
  UniqueFd lease;              // close-on-exec; a child that shall hold it too needs a dup
};

struct CollectStats {
  uint32_t kept = 0;
  uint32_t in_use = 0;  // of those kept
  uint32_t removed = 0;
  uint64_t bytes_kept = 0;
  uint64_t bytes_removed = 0;
};

// Read-only erofs images of layer chains, built once per chain and shared by all pods of the host.
//
// An image is found by a hash over its layers' identities: path, device, inode and the times of
// the folders, so a snapshot id that was used again does not meet an old image. Beside KEY.erofs
// lies KEY.manifest with size, checksum and the file's own stamp (inode, ctime, boot). An
// unchanged stamp is trusted; any other (somebody wrote, the host was booted again) costs a pass
// over the file, and a wrong checksum a new build. KEY.lock orders processes: exclusive while
// removing, shared while in use, also by who builds; KEY.building is held by the one that does.
//
// Thread safe, and safe between processes.
class ImageCache {
 public:
  explicit ImageCache(ImageCacheOptions options);

  // The image of the merged view of `lowerdirs`, top first as in overlayfs' own option: whiteouts
  // and opaque folders are applied, owners, modes, times, xattrs, hard links, devices kept. Builds
  // it when there is none (reads the layers through an overlay in a mount namespace of a child),
  // or waits for another process that does. Blocks: milliseconds when cached, about a second per
  // 500 MB when not.
  //
  // kNotFound: a layer is missing; kInvalidArgument: no layer, too many (more than 128), or an
  // image larger than the slot; kResourceExhausted: the disk is full even after unused images were
  // removed; kDeadlineExceeded: the build took too long. Nothing half-written is left.
  Result<LeasedImage> Ensure(const std::vector<std::filesystem::path>& lowerdirs);

  // Removes images that nobody uses: those older than max_age, then the longest unused until the
  // rest fits max_bytes; and what crashed builds left.
  Result<CollectStats> Collect();

  // The file name (without ending) of the chain's image. For tests and messages.
  Result<std::string> KeyOf(const std::vector<std::filesystem::path>& lowerdirs) const;

 private:
  Result<LeasedImage> Lease(const std::string& key,
                            const std::vector<std::filesystem::path>& lowerdirs);
  Result<Manifest> Build(const std::string& key,
                         const std::vector<std::filesystem::path>& lowerdirs,
                         bool& built);
  Result<CollectStats> CollectDownTo(uint64_t max_bytes, std::chrono::seconds max_age);

  ImageCacheOptions options_;
};

}  // namespace farlet::disk
