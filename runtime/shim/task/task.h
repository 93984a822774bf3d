#pragma once

#include "proto/guest/v1/guest.pb.h"
#include "runtime/shim/lifecycle.h"
#include "runtime/shim/machine.h"
#include "runtime/shim/spec/pod_spec.h"
#include "runtime/shim/stdio/process_io.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

// Internal: what the task service knows of its containers. I/O thread only.
namespace farlet::shim {

// A process: the init of a container (exec_id ""), or an exec.
struct Process {
  std::string container_id;
  std::string exec_id;
  Lifecycle life;
  StdioNames stdio;
  std::shared_ptr<ProcessIo> io;  // null: a sandbox's, which has no process
  bool io_started = false;
  uint32_t pid = 0;         // 0 until started; the VM's afterwards, there is no other on the host
  guest::v1::Process spec;  // of an exec, until it is started
  std::optional<guest::v1::ConsoleSize> size;  // told before there was a terminal
  std::vector<std::function<void(const Exit&)>> waiting;

  bool is_init() const { return exec_id.empty(); }
};

struct Container {
  std::string id;
  std::filesystem::path bundle;
  Membership::Kind kind = Membership::Kind::kContainer;
  bool creating = true;  // Create is under way; nothing else may touch it
  bool deleting = false;
  bool oom_told = false;
  // Of its init, and so of its execs: containerd's exec knows only what the container's spec says.
  std::vector<guest::v1::Rlimit> rlimits;
  std::shared_ptr<Process> init;
  std::map<std::string, std::shared_ptr<Process>> execs;
  std::vector<SharedPath> shares;  // to be given back

  // A sandbox is only a VM: nothing of it is in the guest.
  bool in_guest() const { return kind != Membership::Kind::kSandbox; }
};

}  // namespace farlet::shim
