#pragma once

#include "runtime/vm/acceleration.h"
#include "runtime/vm/vm.h"

#include <string>
#include <vector>

namespace farlet::vm {

// What decides a machine's hardware, and what its guest is made ready for. A clone's must be its
// template's in all of it.
struct MachineSpec {
  MachineSize size;
  Acceleration::Kind acceleration = Acceleration::Kind::kTcg;
  uint32_t tsc_khz = 0;
  // Of the writable disk that a template's guest has mounted; 0: none.
  uint64_t disk_bytes = 0;
};

// Where the guest's memory is.
enum class MemoryKind {
  kPrivate,   // anonymous: a boot
  kTemplate,  // a file, written by the guest: a template that is being made
  kClone,     // that file again, copied on write
};

// Descriptors and files of QEMU's own world, which its confinement lays out (see confinement.h).
inline constexpr int kAgentFd = 3;
inline constexpr int kFilesFd = 4;
inline constexpr int kTapFd = 5;
inline constexpr int kQmpFd = 6;
inline constexpr int kConsoleFd = 7;
inline constexpr const char* kKernelPath = "/vm/vmlinux";
inline constexpr const char* kInitramfsPath = "/vm/initramfs.cpio";
// No such file: whoever opens it gets the descriptor kMemoryFd (see open_broker.h).
inline constexpr const char* kMemoryPath = "/vm/memory";

inline constexpr const char* kAgentPort = "agent-port";  // the device's id

// The node that a disk slot shows: slot 0 is the writable one, then images.
std::string SlotNode(size_t slot);
std::string SlotDevice(size_t slot);  // "vda", "vdb", …

// The kernel's command line.
std::string KernelCommandLine(const MachineSpec& spec);

// QEMU's arguments, without the program's name. The same spec gives the same arguments, so they
// belong to a template's key.
std::vector<std::string> QemuArguments(const MachineSpec& spec, MemoryKind memory);

}  // namespace farlet::vm
