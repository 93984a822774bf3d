#pragma once

#include "runtime/base/result.h"

namespace farlet::guest {

// Copies FUSE messages between /dev/fuse and the file server behind a virtio port, both
// non-blocking, until the file system is unmounted (success) or broken. Each message begins with
// its length, so the stream needs no frames. The server must agree on writes of at most 128 KiB in
// FUSE_INIT (max_write, max_pages), and answer with no more.
//
// While nobody has the port open on the host it reads as empty; requests wait.
Status RelayFuse(int fuse, int port);

}  // namespace farlet::guest
