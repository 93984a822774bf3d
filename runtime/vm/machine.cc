#include "runtime/vm/machine.h"

#include <fmt/format.h>

#include <algorithm>

namespace farlet::vm {
namespace {

using Acceleration::Kind::kKvm;
using Arguments = std::vector<std::string>;

void Add(Arguments& arguments, std::initializer_list<std::string> more) {
  arguments.insert(arguments.end(), more);
}

// The guest finds its devices in this order, which names the disks: it goes through the buses from
// the last of the 24 down. The first bus does not work (its interrupts do not arrive).
std::string Bus(size_t device) {
  return fmt::format("bus=virtio-mmio-bus.{}", 23 - device);
}

// What TCG keeps of translated code. Its default is up to 1 GiB, which would all be the pod's. A
// start fills 28 MiB, 37 MiB with its rehearsal (see runtime/shim/pool), and when that does not
// fit, all is thrown away and translated again: half as long again, and no use of a rehearsal.
uint32_t TranslationMib(MachineSize size) {
  constexpr uint32_t kShare = 32;
  constexpr uint32_t kLeast = 48;
  constexpr uint32_t kMost = 128;
  return std::clamp(size.memory_mib / kShare, kLeast, kMost);
}

void AddBoard(Arguments& arguments, const MachineSpec& spec) {
  const bool kvm = spec.acceleration == kKvm;
  Add(arguments, {"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-sandbox",
                  "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
                  "-global", "virtio-mmio.force-legacy=false"});
  // ACPI stays on: the guest finds its virtio devices there. So does the clock chip: a kernel
  // without one waits for seconds.
  Add(arguments, {"-M", "microvm,x-option-roms=off,rtc=on,memory-backend=mem"});
  // TCG runs "rep movsb" byte by byte; without erms the guest does not use it. Nor does it need
  // page tables of five levels.
  Add(arguments, {"-accel", kvm ? "kvm" : fmt::format("tcg,tb-size={}", TranslationMib(spec.size)),
                  "-cpu", kvm ? "host" : "max,-erms,-la57"});
  Add(arguments,
      {"-smp", std::to_string(spec.size.vcpus), "-m", fmt::format("{}M", spec.size.memory_mib)});
}

void AddMemory(Arguments& arguments, const MachineSpec& spec, MemoryKind memory) {
  // reserve=off: a guest's size is no promise of the host's to back all of it.
  const std::string size = fmt::format("id=mem,size={}M,reserve=off", spec.size.memory_mib);
  if (memory == MemoryKind::kPrivate) {
    Add(arguments, {"-object", "memory-backend-ram," + size});
    return;
  }
  Add(arguments,
      {"-object", fmt::format("memory-backend-file,{},mem-path={},share={}", size, kMemoryPath,
                              memory == MemoryKind::kTemplate ? "on" : "off")});
}

void AddPorts(Arguments& arguments) {
  Add(arguments,
      {"-chardev", fmt::format("socket,id=qmp,fd={}", kQmpFd), "-mon", "chardev=qmp,mode=control"});
  Add(arguments, {"-chardev", fmt::format("socket,id=console,fd={}", kConsoleFd), "-serial",
                  "chardev:console"});
  Add(arguments, {"-device", "virtio-serial-device,max_ports=4," + Bus(0)});
  Add(arguments, {"-chardev", fmt::format("socket,id=agent,fd={}", kAgentFd), "-device",
                  fmt::format("virtserialport,chardev=agent,name=agent,nr=1,id={}", kAgentPort)});
  Add(arguments, {"-chardev", fmt::format("socket,id=files,fd={}", kFilesFd), "-device",
                  "virtserialport,chardev=files,name=files,nr=2"});
}

void AddNetwork(Arguments& arguments) {
  // The agent gives eth0 the pod's own address.
  Add(arguments, {"-netdev", fmt::format("tap,id=net,fd={},vhost=off", kTapFd), "-device",
                  "virtio-net-device,netdev=net,mac=02:00:00:00:00:01," + Bus(1)});
}

void AddBalloon(Arguments& arguments) {
  Add(arguments,
      {"-device", "virtio-balloon-device,deflate-on-oom=on,free-page-reporting=on," + Bus(2)});
}

// An empty slot reads as zeros. Its node is replaced when something is attached.
void AddSlot(Arguments& arguments, size_t slot) {
  const bool writable = slot == 0;
  Add(arguments,
      {"-blockdev", fmt::format("driver=null-co,node-name=empty{},size={},read-zeroes=on", slot,
                                writable ? kWritableSlotBytes : kImageSlotBytes)});
  Add(arguments,
      {"-blockdev", fmt::format("driver=raw,node-name={},file=empty{},read-only={}", SlotNode(slot),
                                slot, writable ? "off,discard=unmap" : "on")});
  Add(arguments, {"-device", fmt::format("virtio-blk-device,drive={},serial=slot{},share-rw=on,{}",
                                         SlotNode(slot), slot, Bus(slot + 3))});
}

}  // namespace

std::string SlotNode(size_t slot) {
  return fmt::format("slot{}", slot);
}

std::string SlotDevice(size_t slot) {
  return fmt::format("vd{}", static_cast<char>('a' + slot));
}

std::string KernelCommandLine(const MachineSpec& spec) {
  // Of the security modules those that need no configuration: every system call asks each of them.
  std::string line =
      "quiet console=ttyS0 cryptomgr.notests init_on_alloc=0 panic=-1 lsm=landlock,yama";
  if (spec.size.vcpus == 1) {
    line += " noreplace-smp";
  }
  if (spec.acceleration != kKvm) {
    // Calibration against the PIT fails on a busy host and then the guest hangs. There is no other
    // clock that a watchdog could compare this one with.
    line += fmt::format(" tsc=reliable tsc_early_khz={}", spec.tsc_khz);
  }
  return line;
}

std::vector<std::string> QemuArguments(const MachineSpec& spec, MemoryKind memory) {
  Arguments arguments;
  AddBoard(arguments, spec);
  AddMemory(arguments, spec, memory);
  Add(arguments,
      {"-kernel", kKernelPath, "-initrd", kInitramfsPath, "-append", KernelCommandLine(spec)});
  AddPorts(arguments);
  AddNetwork(arguments);
  AddBalloon(arguments);
  for (size_t slot = 0; slot <= kImageSlots; ++slot) {
    AddSlot(arguments, slot);
  }
  if (memory == MemoryKind::kClone) {
    Add(arguments, {"-incoming", "defer"});
  }
  return arguments;
}

}  // namespace farlet::vm
