#pragma once

#include "runtime/base/result.h"

#include <filesystem>
#include <string>
#include <string_view>

namespace farlet::shim {

// What containerd writes to the standard input of `start`: up to 2.2 the runtime's options as an
// Any, from 2.3 on a BootstrapParams message.
struct StartInput {
  std::filesystem::path config_path;    // of the runtime's options; may be empty
  std::filesystem::path socket_folder;  // empty: the usual one
  bool bootstrap = false;               // a BootstrapParams: the answer may be richer, too
};

// `id` tells the two apart: only a BootstrapParams begins with it. What is of no known type reads
// as nothing. kInvalidArgument for options that do not parse.
Result<StartInput> ParseStartInput(std::string_view bytes, std::string_view id);

// What `start` answers: JSON where containerd says that it reads that ($MAX_SHIM_VERSION of 2 or
// more), else the bare address, which all read.
std::string StartAnswer(std::string_view address, std::string_view max_shim_version);

}  // namespace farlet::shim
