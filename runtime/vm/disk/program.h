#pragma once

#include "runtime/base/result.h"

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

namespace farlet::disk {

// An overlay that only the program sees.
struct OverlayView {
  std::vector<std::filesystem::path> lowers;  // top first; at least two
  std::filesystem::path place;
};

struct Program {
  std::filesystem::path path;  // a name is looked up in $PATH and the sbin folders
  std::vector<std::string> arguments;
  std::chrono::seconds timeout{60};
  // Mounted before the program starts, in a mount namespace of its own.
  const OverlayView* view = nullptr;
};

// Runs it with an almost empty environment and without input, and waits. It does not outlive the
// calling thread. Errors end with what it said: kFailedPrecondition: no such program;
// kDeadlineExceeded; kResourceExhausted: it found the disk full; else kInternal.
Status Run(const Program& program);

}  // namespace farlet::disk
