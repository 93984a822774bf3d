#pragma once

#include "runtime/base/result.h"

#include <span>
#include <string>
#include <string_view>

namespace farlet::shim {

// What the executable was asked to do. containerd uses the first four; the others are our own.
enum class Action {
  kStart,       // bring up (or find) the shim of a container's pod and print its address
  kDelete,      // remove what is left of a container, whether or not its shim lives
  kVersion,     // -v
  kInfo,        // -info (containerd 2)
  kServe,       // the shim itself, started by kStart
  kFileServer,  // the pod's file server, started by kServe
  kTemplate,    // build the template of a size
  kPool,        // fill the pool with spares of a size, for the containerd at `address`
  kSpare,       // a machine that waits for its pod, started by kPool
};

struct CommandLine {
  Action action = Action::kStart;
  std::string containerd_namespace;
  std::string address;  // containerd's main socket
  std::string publish_binary;
  std::string id;
  std::string bundle;  // only `delete` is told; otherwise it is the working directory
  bool debug = false;
  // Of kTemplate, kPool and kSpare: the machine's size, else that of a pod without limits; its
  // disk's, else the usual.
  std::string memory_mib;
  std::string vcpus;
  std::string disk_bytes;
  bool background = false;
};

// Reads flags as Go's flag package does (-flag value, -flag=value, one dash or two), then one
// action. `arguments` is without the program's name. Error: kInvalidArgument naming the argument;
// ids and namespaces that are no containerd identifiers are refused, for they become file names.
Result<CommandLine> ParseCommandLine(std::span<const std::string_view> arguments);

// Whether `text` is what containerd accepts as an identifier: letters and digits, joined by single
// '-', '_' or '.'; 76 bytes at most.
bool IsIdentifier(std::string_view text);

}  // namespace farlet::shim
