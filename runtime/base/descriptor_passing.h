#pragma once

#include "runtime/base/fd.h"

#include <sys/types.h>

#include <array>
#include <cstddef>
#include <span>
#include <string_view>

namespace farlet {

// Descriptors beside the bytes of a Unix socket (SCM_RIGHTS, unix(7)).
inline constexpr size_t kMaxPassedDescriptors = 2;

// As sendmsg; a peer that is gone is EPIPE and no signal. Neither allocates memory nor takes a
// lock: it may be called between fork and exec.
ssize_t SendWithDescriptors(int socket,
                            std::string_view data,
                            std::span<const int> descriptors,
                            int flags = 0);

struct ReceivedMessage {
  ssize_t size = -1;       // as recvmsg's result, with errno
  bool truncated = false;  // more came than fits; what does not fit of descriptors is closed
  // What came, in order; invalid: none. Closed by exec.
  std::array<UniqueFd, kMaxPassedDescriptors> descriptors;
};

// One recvmsg.
ReceivedMessage ReceiveWithDescriptors(int socket, std::span<char> buffer);

}  // namespace farlet
