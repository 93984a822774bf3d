#pragma once

#include "runtime/base/result.h"

#include <filesystem>
#include <string>
#include <vector>

namespace farlet::shim {

// Where containerd wants a process's streams: the fields of a task's Create and Exec.
struct StdioNames {
  std::string in;
  std::string out;
  std::string err;
  bool terminal = false;  // then there is no `err`
  // Whose they are, for a logger: the container's id or the exec's, and containerd's namespace.
  std::string id;
  std::string containerd_namespace;
};

struct StreamTarget {
  enum class Kind { kNone, kFifo, kFile, kLogger } kind = Kind::kNone;
  std::filesystem::path path;
  std::vector<std::string> arguments;  // of a logger
};

// Reads one name: empty, a path or fifo:// (a FIFO), file:// (appended to), binary:// (a program
// that takes both outputs, its arguments being the names and values of the query). kUnimplemented
// for schemes that containerd knows and we do not (binary-v2, ttrpc+unix), kInvalidArgument for the
// rest.
Result<StreamTarget> ParseStreamName(const std::string& name);

}  // namespace farlet::shim
