#pragma once

#include "runtime/base/result.h"

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

namespace farlet::shim {

// A descriptor of ours, and its number in the new process.
struct Inherited {
  int from = -1;
  int to = -1;
};

struct Program {
  std::string path;
  std::vector<std::string> words;        // its name for itself, and its arguments
  std::vector<std::string> environment;  // "NAME=value", beside ours
};

// "NAME=value", all that this process has.
std::vector<std::string> OwnEnvironment();

// Starts a program in a session of its own, as signals are at the start of a process. Of the
// descriptors each arrives, whatever its number is here; others that are close-on-exec stay behind.
// The caller waits for the process. An error begins with `what`: "start the shim".
Result<pid_t> Spawn(Program program,
                    const std::vector<Inherited>& descriptors,
                    std::string_view what);

// This executable once more.
Result<pid_t> SpawnSelf(std::vector<std::string> arguments,
                        const std::vector<Inherited>& descriptors,
                        std::string_view what);

}  // namespace farlet::shim
