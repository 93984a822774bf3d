#pragma once

#include "runtime/base/result.h"

#include <initializer_list>

// What the file server's process gives up before it reads the guest's first byte. All of it is for
// the calling thread (the only one of its process) and for good.
namespace farlet::files {

// Keeps capabilities while ActAs changes the file system uid, and gives none to uid 0 by itself.
Status KeepCapabilities();

// All capabilities but those for owners, permissions and uids of files; no way to get others.
Status DropCapabilities();

// Only the system calls that the server uses; others fail with EPERM.
Status FilterSystemCalls();

// Closes every descriptor above 2 but these.
Status CloseOthers(std::initializer_list<int> kept);

// As many descriptors as the server may need, or as many as are to be had.
void RaiseFileLimit(uint64_t descriptors);

}  // namespace farlet::files
