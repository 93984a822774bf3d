#pragma once

#include "runtime/base/result.h"

#include <cstddef>
#include <functional>
#include <string>

namespace farlet::shim {

enum class OutputStream { kOut = 1, kErr = 2 };

struct OutputChunk {
  std::string data;
  bool eof = false;
};

// The guest's end of a process's streams. Callbacks come on the I/O thread.
struct GuestStreams {
  // Waits for output: data, the end, or an error.
  std::function<void(OutputStream, Callback<OutputChunk>)> read;
  // Reports how much of `data` the process's input took; the rest is sent again.
  std::function<void(std::string data, Callback<size_t>)> write;
  std::function<void(StatusCallback)> close_input;
};

}  // namespace farlet::shim
