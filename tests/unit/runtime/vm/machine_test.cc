#include "runtime/vm/machine.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

namespace farlet::vm {
namespace {

constexpr MachineSpec kSpec{
    .size = {2, 512}, .acceleration = Acceleration::Kind::kTcg, .tsc_khz = 2'600'000};

std::vector<std::string> ValuesOf(const std::vector<std::string>& arguments,
                                  const std::string& option) {
  std::vector<std::string> values;
  for (size_t i = 0; i + 1 < arguments.size(); ++i) {
    if (arguments[i] == option) {
      values.push_back(arguments[i + 1]);
    }
  }
  return values;
}

std::string ValueOf(const std::vector<std::string>& arguments, const std::string& option) {
  const auto values = ValuesOf(arguments, option);
  return values.size() == 1 ? values[0] : fmt::format("{} values", values.size());
}

TEST(MachineTest, CommandLine) {
  EXPECT_EQ(KernelCommandLine(kSpec),
            "quiet console=ttyS0 cryptomgr.notests init_on_alloc=0 panic=-1 "
            "lsm=landlock,yama tsc=reliable tsc_early_khz=2600000");
  MachineSpec one = kSpec;
  one.size.vcpus = 1;
  EXPECT_NE(KernelCommandLine(one).find(" noreplace-smp"), std::string::npos);
  MachineSpec kvm = kSpec;
  kvm.acceleration = Acceleration::Kind::kKvm;
  EXPECT_EQ(KernelCommandLine(kvm).find("tsc_early_khz"), std::string::npos);
}

// What breaks guests (see README.md) is never on a command line.
TEST(MachineTest, NeverWhatBreaksGuests) {
  for (const auto kind : {Acceleration::Kind::kTcg, Acceleration::Kind::kKvm}) {
    MachineSpec spec = kSpec;
    spec.acceleration = kind;
    EXPECT_EQ(KernelCommandLine(spec).find("noapictimer"), std::string::npos);
    const std::string board = ValueOf(QemuArguments(spec, MemoryKind::kPrivate), "-M");
    EXPECT_EQ(board, "microvm,x-option-roms=off,rtc=on,memory-backend=mem");
  }
}

TEST(MachineTest, SizeAndAcceleration) {
  const auto tcg = QemuArguments(kSpec, MemoryKind::kPrivate);
  EXPECT_EQ(ValueOf(tcg, "-smp"), "2");
  EXPECT_EQ(ValueOf(tcg, "-m"), "512M");
  EXPECT_EQ(ValueOf(tcg, "-accel"), "tcg,tb-size=48");
  EXPECT_EQ(ValueOf(tcg, "-cpu"), "max,-erms,-la57");
  MachineSpec spec = kSpec;
  spec.acceleration = Acceleration::Kind::kKvm;
  const auto kvm = QemuArguments(spec, MemoryKind::kPrivate);
  EXPECT_EQ(ValueOf(kvm, "-accel"), "kvm");
  EXPECT_EQ(ValueOf(kvm, "-cpu"), "host");
}

TEST(MachineTest, Memory) {
  EXPECT_EQ(ValueOf(QemuArguments(kSpec, MemoryKind::kPrivate), "-object"),
            "memory-backend-ram,id=mem,size=512M,reserve=off");
  EXPECT_EQ(ValueOf(QemuArguments(kSpec, MemoryKind::kTemplate), "-object"),
            "memory-backend-file,id=mem,size=512M,reserve=off,mem-path=/vm/memory,share=on");
  EXPECT_EQ(ValueOf(QemuArguments(kSpec, MemoryKind::kClone), "-object"),
            "memory-backend-file,id=mem,size=512M,reserve=off,mem-path=/vm/memory,share=off");
}

// QEMU restores a machine only into the same one.
TEST(MachineTest, ACloneIsItsTemplateButForMemory) {
  auto made = QemuArguments(kSpec, MemoryKind::kTemplate);
  auto clone = QemuArguments(kSpec, MemoryKind::kClone);
  EXPECT_EQ(ValueOf(clone, "-incoming"), "defer");
  clone.resize(clone.size() - 2);
  ASSERT_EQ(made.size(), clone.size());
  for (size_t i = 0; i < made.size(); ++i) {
    if (!made[i].starts_with("memory-backend-file")) {
      EXPECT_EQ(made[i], clone[i]);
    }
  }
}

TEST(MachineTest, SandboxDeniesEverything) {
  EXPECT_EQ(ValueOf(QemuArguments(kSpec, MemoryKind::kClone), "-sandbox"),
            "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
}

TEST(MachineTest, EveryDeviceHasABusOfItsOwnAmongTheUsable) {
  std::set<std::string> buses;
  size_t disks = 0;
  for (const std::string& device : ValuesOf(QemuArguments(kSpec, MemoryKind::kClone), "-device")) {
    const size_t bus = device.find("bus=virtio-mmio-bus.");
    if (bus == std::string::npos) {
      EXPECT_TRUE(device.starts_with("virtserialport,")) << device;
      continue;
    }
    const int number = std::stoi(device.substr(bus + 20));
    EXPECT_TRUE(number >= 1 && number < 24) << device;
    EXPECT_TRUE(buses.insert(device.substr(bus)).second) << device;
    disks += device.starts_with("virtio-blk-device") ? 1 : 0;
  }
  EXPECT_EQ(disks, kImageSlots + 1);
}

TEST(MachineTest, OnlyTheFirstSlotIsWritable) {
  size_t writable = 0;
  for (const std::string& node : ValuesOf(QemuArguments(kSpec, MemoryKind::kClone), "-blockdev")) {
    if (node.starts_with("driver=raw") && node.find("read-only=on") == std::string::npos) {
      EXPECT_NE(node.find("node-name=slot0,"), std::string::npos) << node;
      ++writable;
    }
  }
  EXPECT_EQ(writable, 1u);
}

TEST(MachineTest, SlotsAndDevices) {
  EXPECT_EQ(SlotDevice(0), kWritableDevice);
  EXPECT_EQ(SlotDevice(1), "vdb");
  EXPECT_EQ(SlotDevice(kImageSlots), "vdm");
}

}  // namespace
}  // namespace farlet::vm
