// What goes when the cache is too large or too old.
#include "runtime/base/file_lock.h"
#include "runtime/base/log.h"
#include "runtime/vm/disk/image_build.h"
#include "runtime/vm/disk/image_cache.h"
#include "runtime/vm/disk/image_paths.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <optional>
#include <set>
#include <utility>

namespace farlet::disk {
namespace {

constexpr uint64_t kStatBlock = 512;

struct Entry {
  std::string key;
  uint64_t bytes = 0;  // on disk
  int64_t used_ns = 0;
  bool in_use = false;
};

int64_t Nanoseconds(const timespec& time) {
  return static_cast<int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

int64_t LastUse(int lock) {
  struct stat info {};

  return ::fstat(lock, &info) == 0 ? Nanoseconds(info.st_mtim) : 0;
}

Result<std::set<std::string>> Keys(const std::filesystem::path& folder) {
  std::set<std::string> keys;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string key = KeyIn(entry->path().filename().string());
    if (!key.empty()) {
      keys.insert(key);
    }
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    return ErrnoError(error.value(), "list " + folder.string());
  }
  return keys;
}

// Without the lock, for only a hint: Remove looks again.
Result<Entry> Look(const std::filesystem::path& folder, const std::string& key) {
  const ImagePaths paths(folder, key);
  Entry entry{.key = key};

  struct stat info {};

  if (::stat(paths.image.c_str(), &info) == 0) {
    entry.bytes = static_cast<uint64_t>(info.st_blocks) * kStatBlock;
  }
  if (::stat(paths.lock.c_str(), &info) == 0) {
    entry.used_ns = Nanoseconds(info.st_mtim);
  }
  FARLET_ASSIGN(const std::optional<UniqueFd> lock, TryLockFile(paths.lock, LockKind::kExclusive));
  entry.in_use = !lock;
  return entry;
}

// False: it is in use, or was since we looked.
Result<bool> Remove(const std::filesystem::path& folder, const Entry& entry) {
  const ImagePaths paths(folder, entry.key);
  FARLET_ASSIGN(const std::optional<UniqueFd> lock, TryLockFile(paths.lock, LockKind::kExclusive));
  if (!lock || LastUse(lock->get()) > std::max(entry.used_ns, int64_t{0})) {
    return false;
  }
  RemoveUnfinished(folder, entry.key);
  // The lock last: without it nobody would know of the rest.
  for (const std::filesystem::path& path :
       {paths.manifest, paths.image, paths.building, paths.lock}) {
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
      return ErrnoError(errno, "remove " + path.string());
    }
  }
  return true;
}

}  // namespace

Result<CollectStats> ImageCache::Collect() {
  return CollectDownTo(options_.max_bytes, options_.max_age);
}

Result<CollectStats> ImageCache::CollectDownTo(uint64_t max_bytes, std::chrono::seconds max_age) {
  FARLET_ASSIGN(const std::set<std::string> keys, Keys(options_.folder));
  CollectStats stats;
  std::vector<Entry> entries;
  for (const std::string& key : keys) {
    FARLET_ASSIGN(Entry entry, Look(options_.folder, key));
    stats.bytes_kept += entry.bytes;
    ++stats.kept;
    stats.in_use += entry.in_use ? 1 : 0;
    entries.push_back(std::move(entry));
  }
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.used_ns < b.used_ns; });
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  const int64_t oldest = Nanoseconds(now) - std::chrono::nanoseconds(max_age).count();
  for (const Entry& entry : entries) {
    if (entry.in_use || (entry.used_ns >= oldest && stats.bytes_kept <= max_bytes)) {
      continue;
    }
    FARLET_ASSIGN(const bool removed, Remove(options_.folder, entry));
    if (removed) {
      ++stats.removed;
      --stats.kept;
      stats.bytes_removed += entry.bytes;
      stats.bytes_kept -= entry.bytes;
      log::Info("disk image removed from the cache", {{"image", entry.key}});
    }
  }
  return stats;
}

}  // namespace farlet::disk
