#include "runtime/shim/pool/waiting.h"

#include "runtime/shim/process_id.h"
#include "runtime/shim/socket.h"
#include "runtime/shim/state_file.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace farlet::shim {
namespace {

using std::filesystem::path;

class WaitingTest : public testing::Test {
 protected:
  WaitingTest() {
    std::string folder = (std::filesystem::temp_directory_path() / "waiting-XXXXXX").string();
    EXPECT_NE(::mkdtemp(folder.data()), nullptr);
    folder_ = folder;
    for (const char* file : {"qemu", "vmlinux", "initramfs"}) {
      Write(file, file);
    }
    Configure("");
  }

  ~WaitingTest() override { std::filesystem::remove_all(folder_); }

  void Write(const path& file, const std::string& text) const {
    std::ofstream(folder_ / file) << text;
  }

  void Configure(const std::string& more) const {
    Write("vm.yaml", "qemu: " + (folder_ / "qemu").string() +
                         "\nkernel: " + (folder_ / "vmlinux").string() +
                         "\ninitramfs: " + (folder_ / "initramfs").string() +
                         "\nrunDir: " + (folder_ / "run").string() + "\n" + more);
  }

  Result<path> Folder(const std::string& address = "/containerd.sock") const {
    return PoolFolder(folder_ / "vm.yaml", address);
  }

  // What a spare has noted; `number` seconds old.
  void Note(const path& socket, const ProcessId& shim, int age) const {
    ASSERT_TRUE(WriteState({.shim = shim, .socket = socket, .work_dir = folder_ / "work"}));
    timespec time{};
    ::clock_gettime(CLOCK_REALTIME, &time);
    time.tv_sec -= age;
    const timespec times[2] = {time, time};
    ASSERT_EQ(::utimensat(AT_FDCWD, StatePath(socket).c_str(), times, 0), 0);
  }

  path folder_;
};

TEST_F(WaitingTest, TheFolderIsAnotherWhenAnythingIs) {
  const Result<path> first = Folder();
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_EQ(first->parent_path(), folder_ / "run" / "pool");
  EXPECT_EQ(*first, *Folder());
  EXPECT_NE(*first, *Folder("/another.sock"));
  Configure("poolSize: 3\n");
  const Result<path> configured = Folder();
  ASSERT_TRUE(configured);
  EXPECT_NE(*first, *configured);
  Write("initramfs", "a newer one");
  const Result<path> upgraded = Folder();
  ASSERT_TRUE(upgraded);
  EXPECT_NE(*configured, *upgraded);
  std::filesystem::remove(folder_ / "vmlinux");
  EXPECT_EQ(Folder().error().code, Code::kNotFound);
}

TEST_F(WaitingTest, ListsTheOldestFirst) {
  const ProcessId self = *IdOf(::getpid());
  Note(SpareSocket(folder_, {.vcpus = 1, .memory_mib = 512}, 7), self, 10);
  Note(SpareSocket(folder_, {.vcpus = 2, .memory_mib = 1024}, 8), self, 30);
  Write("nonsense.json", "{}");
  Write("1-.json", "{}");
  Write("turn", "");
  const auto spares = SparesIn(folder_);
  ASSERT_EQ(spares.size(), 2U);
  EXPECT_EQ(spares[0].size, (vm::MachineSize{.vcpus = 2, .memory_mib = 1024}));
  EXPECT_EQ(spares[1].size, (vm::MachineSize{.vcpus = 1, .memory_mib = 512}));
  EXPECT_TRUE(SparesIn(folder_ / "missing").empty());
}

TEST_F(WaitingTest, WhatADeadOneLeftGoes) {
  const ProcessId self = *IdOf(::getpid());
  const path alive = SpareSocket(folder_, {}, 7);
  const path taken = SpareSocket(folder_, {}, 8);
  const path dead = SpareSocket(folder_, {}, 9);
  Note(alive, self, 1);
  Note(taken, self, 1);
  Note(dead, {.pid = self.pid, .start_time = self.start_time + 1}, 1);
  std::filesystem::create_directory(folder_ / "work");
  const auto listening = ListenUnix(alive, SocketKind::kMessages);
  ASSERT_TRUE(listening);
  const auto living = LivingSparesIn(folder_);
  ASSERT_EQ(living.size(), 1U);
  EXPECT_EQ(living[0].socket, alive);
  EXPECT_FALSE(std::filesystem::exists(StatePath(dead)));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "work"));
  EXPECT_TRUE(std::filesystem::exists(StatePath(taken))) << "its process is a pod's shim by now";
}

}  // namespace
}  // namespace farlet::shim
