#pragma once

#include "runtime/base/fd.h"
#include "runtime/base/result.h"

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace farlet::vm {

// What a machine is made of. Templates exist once per size, so a pod gets a size class (see
// size_class.h) and its own limits are kept by cgroups, inside the guest and around QEMU.
struct MachineSize {
  uint32_t vcpus = 1;
  uint32_t memory_mib = 512;

  bool operator==(const MachineSize&) const = default;
};

// The guest's disk for everything that containers write: VmOptions::disk.
inline constexpr const char* kWritableDevice = "vda";
// Slots for image layers: "vdb" and the following.
inline constexpr size_t kImageSlots = 12;
// The capacity that the guest sees is that of the slot and never changes: files are padded with a
// hole up to it.
inline constexpr uint64_t kImageSlotBytes = 64ull << 30;
inline constexpr uint64_t kWritableSlotBytes = 1ull << 40;

// An ext4 file system in a sparse file of its own.
struct WritableDisk {
  std::filesystem::path path;  // made by Start; must not exist
  uint64_t bytes = 0;
};

struct VmOptions {
  MachineSize size;
  // Behind kWritableDevice when Start returns; without one there is none. The file is the caller's
  // to remove, which the machine does not mind. Disks of HostConfig::ephemeral_storage_bytes are
  // quickest: a template's guest has one mounted already.
  std::optional<WritableDisk> disk;
  // Opened with IFF_TAP | IFF_NO_PI | IFF_VNET_HDR, one queue. Without one the guest's eth0 leads
  // nowhere. The guest's address on it is set by the guest agent, so the MAC is no option here.
  UniqueFd tap;
  // Boots instead of cloning a template: nothing of the guest's memory layout is shared with other
  // pods. HostConfig::cold_boot has the same effect for all.
  bool cold_boot = false;
  // cgroup.procs files (one on cgroup v2, one a controller on v1) that QEMU enters before exec.
  std::vector<std::filesystem::path> cgroup_procs;
  // An existing folder of this VM alone. QEMU's messages and the guest's console go to console.log
  // in it, which stays small. The caller removes the folder.
  std::filesystem::path work_dir;
  // When Start gives up. It has a limit of its own as well.
  std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();
};

// One running virtual machine, ready for work: its agent serves the agent port and the FUSE session
// on the files port is initialized, whether it was cloned or booted.
//
// Thread-safe; calls block for some milliseconds (deadlines inside), so never on an I/O thread.
// The machine is killed and reaped by the destructor, and by the kernel when this process dies.
// It is a child process: nothing else in this process may wait for any child (waitpid(-1)).
class Vm {
 public:
  Vm() = default;
  Vm(const Vm&) = delete;
  Vm& operator=(const Vm&) = delete;
  virtual ~Vm() = default;

  // QEMU's process, alive or not yet reaped while the object lives.
  virtual pid_t pid() const = 0;

  // The host's ends of the guest's serial ports, non-blocking stream sockets; once each, invalid
  // afterwards. A write may be short when the guest does not read.
  virtual UniqueFd TakeAgent() = 0;
  virtual UniqueFd TakeFiles() = 0;

  // Puts a read-only image behind the next free slot and names the guest's device ("vdb").
  // The same file (by inode) again gives the same device. kResourceExhausted when all are taken.
  virtual Result<std::string> AttachImage(const std::filesystem::path& image) = 0;

  // Stops and continues the guest's CPUs. Repeating either is no error.
  virtual Status Pause() = 0;
  virtual Status Resume() = 0;

  // A pidfd, readable as soon as the machine is gone, whatever the reason. Valid as long as the
  // object.
  virtual int exit_fd() const = 0;

  // Why it is gone, for people: "killed by signal 9", or "guest kernel panic: …" with the last
  // words of the console. "running" before. What the guest said is bounded and printable.
  virtual std::string ExitReason() const = 0;

  // SIGKILL, and waits for the end (kDeadlineExceeded after 10 s). No error if it is gone already.
  virtual Status Kill() = 0;
};

}  // namespace farlet::vm
