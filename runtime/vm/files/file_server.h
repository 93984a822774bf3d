#pragma once

#include "runtime/base/fd.h"
#include "runtime/base/result.h"

#include <chrono>
#include <cstdint>

// A FUSE file server on a byte stream: the guest agent copies messages between /dev/fuse and a
// virtio-serial port, this answers at the other end. Both directions are FUSE's own messages, which
// begin with their length (u32, host byte order), so the stream needs no other framing.
//
// What the guest and the server agree on is constant, so that a server can continue a session
// whose FUSE_INIT another one answered (a clone of a saved VM):
// - protocol 7, minor 33 or later on the guest's side (Linux 5.11)
// - kMaxWrite bytes per READ or WRITE; so the guest's reads of /dev/fuse need a buffer of
//   kMaxRequest bytes, and no reply is longer than kMaxReply
// - node 1 is the root, node 2 its folder "s"; all other node ids and file handles are void in a
//   session of another server (ESTALE, EBADF)
// Mount options in the guest: rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions:
// the guest's kernel checks permissions, the server acts as the caller's uid and gid when it makes
// something.
namespace farlet::files {

inline constexpr uint32_t kMaxWrite = 128u << 10;
inline constexpr uint32_t kMaxRequest = kMaxWrite + 4096;
inline constexpr uint32_t kMaxReply = kMaxWrite + 4096;

struct FileServerOptions {
  // The session's FUSE_INIT was answered already (VM clone). Otherwise it must come first.
  bool initialized = false;
  // How long the guest trusts names and attributes: what the host changes shows up after that.
  std::chrono::milliseconds cache_time{1000};
  // Node ids the guest may hold. Beyond: ENFILE.
  uint32_t max_nodes = 512u << 10;
  // Of those, how many keep a descriptor here; the others are looked up again by name.
  uint32_t max_node_fds = 16u << 10;
  uint32_t max_handles = 16u << 10;
  // Gives up what it does not need: all capabilities but those for files, all system calls but
  // those it uses, new privileges. Off only in tests.
  bool confine = true;
};

// Serves until the guest's side closes the channel or sends FUSE_DESTROY (then OK), or the stream
// cannot be followed any more (a length out of bounds: kDataLoss).
//
// For a process of its own with one thread: enters `mount_namespace` (ShareTree::namespace_fd()),
// confines the process for good, sets its umask, working folder and file limit. Needs root with
// CAP_SYS_ADMIN at the beginning. Dies with its parent (PR_SET_PDEATHSIG).
Status RunFileServer(UniqueFd channel, UniqueFd mount_namespace, const FileServerOptions& options);

}  // namespace farlet::files
