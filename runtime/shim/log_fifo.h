#pragma once

#include <filesystem>

namespace farlet::shim {

// The shim's implementation of runtime/base/log.h: logfmt lines, without a logging library. Each is
// written at once and never waits: what a reader does not take is counted, and told when it reads
// again. Standard error until another place is set.

// Writes to the FIFO that containerd reads ("log" in the bundle) from now on. What cannot be opened
// silences the log, since the shim has no standard error.
void LogToFifo(const std::filesystem::path& fifo);

// No line is written any more. `start` has no place for any: all its output is its answer.
void LogNothing();

}  // namespace farlet::shim
