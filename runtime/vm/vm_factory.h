#pragma once

#include "runtime/vm/acceleration.h"
#include "runtime/vm/host_config.h"
#include "runtime/vm/vm.h"

#include <chrono>
#include <functional>
#include <memory>
#include <string>

namespace farlet::vm {

// What this module cannot know about the guest's two ports. `run` talks to a booted guest over
// blocking host ends until it is ready: a first Hello to the agent, FUSE_INIT for the guest that
// mounts its share, and whatever else is the same for all pods, such as mounting the writable disk
// if there is one. It must read every answer that it causes, and leave the descriptors open. It
// runs once for a template (its clones inherit the state) and once for every cold boot.
struct Handshake {
  struct Guest {
    int agent = -1;
    int files = -1;
    bool has_disk = false;
    bool is_template = false;  // there is time for what clones then need not do
  };

  std::function<Status(const Guest& guest, std::chrono::steady_clock::time_point deadline)> run;
  // Changes whenever the state it leaves in the guest does (e.g. what FUSE_INIT negotiates):
  // templates made by another version are not used.
  std::string version;
};

// Starts a process that builds this template (EnsureTemplate) and returns at once. The descriptor
// reads the end of the file when that process has ended.
using TemplateBuilder = std::function<Result<UniqueFd>(MachineSize size, uint64_t disk_bytes)>;

// Starts VMs on this host. Thread-safe, blocking.
class VmFactory {
 public:
  // Reads and checks what `config` names, and decides on the acceleration (cached on disk).
  // kFailedPrecondition when this host cannot run a VM, with the reason.
  // Without a `builder` Start builds a template that is missing by itself, and an attempt that has
  // to be given up is lost.
  static Result<std::unique_ptr<VmFactory>> Create(HostConfig config,
                                                   Handshake handshake,
                                                   TemplateBuilder builder = nullptr);

  VmFactory() = default;
  VmFactory(const VmFactory&) = delete;
  VmFactory& operator=(const VmFactory&) = delete;
  virtual ~VmFactory() = default;

  // A clone of the size's template, which is built first if nobody did. Boots when templates are
  // switched off or one cannot be built or restored (the log says why).
  virtual Result<std::unique_ptr<Vm>> Start(VmOptions options) = 0;

  // Builds the size's template if it is missing or stale, so that the first pod need not. Its guest
  // has a writable disk of that size mounted, or none with 0, which serves machines with a disk of
  // any other size than HostConfig::ephemeral_storage_bytes.
  virtual Status EnsureTemplate(MachineSize size, uint64_t disk_bytes) = 0;

  virtual const Acceleration& acceleration() const = 0;
};

}  // namespace farlet::vm
