#pragma once

#include "runtime/base/result.h"
#include "runtime/vm/files/request.h"

#include <string_view>
#include <vector>

namespace farlet::files {

// FUSE messages on a connected stream socket, blocking or not. One thread.
class MessageStream {
 public:
  // Does not own `fd`.
  explicit MessageStream(int fd);

  // The next message, valid until the next call; empty when the other side closed between two
  // messages. kDataLoss: a length that no message can have, or an end within a message; the stream
  // is lost then.
  Result<Bytes> Next();

  // kUnavailable: the other side is gone.
  Status Send(Bytes message);

 private:
  // Reads more behind what is there; false at the end.
  Result<bool> Fill();
  // After a call that failed with `error`: OK when it is to be repeated, which may take a wait.
  Status Await(int error, short events, std::string_view what) const;

  int fd_;
  std::vector<std::byte> buffer_;
  size_t begin_ = 0;  // of what was read and not given out
  size_t end_ = 0;
};

}  // namespace farlet::files
