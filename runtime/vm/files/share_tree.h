#pragma once

#include "runtime/base/fd.h"
#include "runtime/base/result.h"

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace farlet::files {

struct Share {
  uint32_t number = 0;
  std::string path;  // below the guest's mount of the file server: "s/3"
};

struct ShareOptions {
  bool read_only = false;
  // Of a read-only share: what is mounted below the host path stays as it is there.
  bool writable_below = false;
  // Mounts that appear below the host path later show up in the guest (HostToContainer).
  bool follow_mounts = true;
};

// What the file server shows to the guest: numbered entries /s/1, /s/2, …, each a file or a folder
// of the host, added and removed while the server runs.
//
// The tree is a mount namespace that no process lives in but the file server: entries are mounts
// in it (open_tree, mount_setattr, move_mount; Linux 5.12), so the host's own mount table shows
// none of them, and all of them are gone when this object and the file server are, also after
// kill -9 of both. Read-only entries are read-only mounts: the kernel refuses, not the server.
//
// One entry per host path is best: two entries of one file are two files to the guest, with caches
// and locks of their own. Make the narrower one read-only in the guest instead.
//
// Thread safe. Calls block for a millisecond, on a thread of their own where they enter the
// namespace.
class ShareTree {
 public:
  static constexpr uint32_t kMaxShares = 1024;

  // Needs CAP_SYS_ADMIN.
  static Result<std::unique_ptr<ShareTree>> Create();

  ShareTree(const ShareTree&) = delete;
  ShareTree& operator=(const ShareTree&) = delete;

  // `host_path` is resolved once, now, following symlinks (the caller vouches for it; for a path
  // inside something that a tenant can change, resolve it first and give /proc/self/fd/N).
  // kNotFound, kResourceExhausted (more than kMaxShares).
  Result<Share> Add(const std::filesystem::path& host_path, ShareOptions options);

  // Takes the entry away; files that the guest has open stay usable to it. Idempotent.
  Status Remove(uint32_t number);

  // For RunFileServer (a child inherits it by dup2). Owned by this object.
  int namespace_fd() const { return namespace_.get(); }

 private:
  explicit ShareTree(UniqueFd mount_namespace) : namespace_(std::move(mount_namespace)) {}

  UniqueFd namespace_;
  std::mutex mutex_;
  uint32_t next_ = 1;                // guarded by mutex_
  std::map<uint32_t, bool> shares_;  // number -> is a folder; guarded by mutex_
};

}  // namespace farlet::files
