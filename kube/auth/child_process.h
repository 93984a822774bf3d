#pragma once

#include "runtime/base/clock.h"
#include "runtime/base/result.h"

#include <atomic>
#include <string>
#include <vector>

namespace farlet::kube {

struct ChildProcess {
  std::vector<std::string> arguments;    // the first is the program, searched for in PATH
  std::vector<std::string> environment;  // "NAME=value", all of it
  milliseconds timeout{60'000};
  size_t max_output = size_t{1} << 20;
};

// Runs a program to its end, with no input, and returns what it wrote to standard output. It and
// its process group are killed when it takes too long, writes too much or `stop` becomes true.
// Errors say which of these or how it exited, with the beginning of its standard error: kNotFound
// (no such program), kDeadlineExceeded, kResourceExhausted, kCancelled, kInternal.
Result<std::string> RunChildProcess(const ChildProcess& process, const std::atomic<bool>& stop);

}  // namespace farlet::kube
