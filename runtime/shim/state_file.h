#pragma once

#include "runtime/base/result.h"
#include "runtime/shim/process_id.h"

#include <filesystem>
#include <string>
#include <vector>

namespace farlet::shim {

// What a shim made on the host for its pod, kept beside the shim's socket so that `delete` finds it
// when the shim was killed. Not in the bundle: containerd removes that while `delete` reads it.
// Written before or right after each thing is made; what a process is
// needed for (mounts of the file server, leases of images, the loopback program) ends with it and
// needs no entry.
struct HostState {
  ProcessId shim;
  ProcessId qemu;
  ProcessId file_server;
  std::filesystem::path socket;
  std::filesystem::path work_dir;
  std::filesystem::path disk;   // the writable disk, until QEMU has it open
  std::filesystem::path netns;  // where taps and redirects are
  std::vector<std::filesystem::path> cgroups;

  bool operator==(const HostState&) const = default;
};

// `socket`.json.
std::filesystem::path StatePath(const std::filesystem::path& socket);
// Atomically.
Status WriteState(const HostState& state);
// kNotFound when there is none; kInvalidArgument for one of another version.
Result<HostState> ReadState(const std::filesystem::path& socket);
// Unless it is another shim's by now.
void RemoveState(const HostState& state);

// Removes all of it: processes, taps, disk, folders, cgroups, socket. Idempotent; goes on after a
// failed step and gives back the first error. Seconds at most.
Status RemoveHostState(const HostState& state);

}  // namespace farlet::shim
