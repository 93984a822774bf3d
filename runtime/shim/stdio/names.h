#pragma once

#include "runtime/base/result.h"

#include <filesystem>
#include <string>

namespace farlet::shim {

// Where containerd wants a process's streams: the fields of a task's Create and Exec.
struct StdioNames {
  std::string in;
  std::string out;
  std::string err;
  bool terminal = false;  // then there is no `err`
};

struct StreamTarget {
  enum class Kind { kNone, kFifo, kFile } kind = Kind::kNone;
  std::filesystem::path path;
};

// Reads one name: empty, a path or fifo:// (a FIFO), file:// (appended to). kUnimplemented for
// schemes that containerd knows and we do not (binary, binary-v2, ttrpc+unix), kInvalidArgument for
// the rest.
Result<StreamTarget> ParseStreamName(const std::string& name);

}  // namespace farlet::shim
