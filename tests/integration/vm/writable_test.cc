// Real ext4 disks, mounted by this host's kernel. Needs root and mkfs.ext4; skipped otherwise.
#include "runtime/vm/disk/writable.h"

#include "runtime/base/file.h"
#include "tests/unit/temp_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <future>
#include <vector>

namespace farlet::disk {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

constexpr uint64_t kBytes = uint64_t{20} << 30;

class WritableTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0 || ::unshare(CLONE_NEWNS) != 0 ||
        ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
      GTEST_SKIP() << "needs root and a mount namespace of its own";
    }
    options_.template_folder = folder_ / "templates";
  }

  std::string Output(const std::string& command) {
    std::string output;
    FILE* pipe = ::popen((command + " 2>&1").c_str(), "re");
    std::array<char, 4096> buffer{};
    for (size_t count = 0; (count = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) {
      output.append(buffer.data(), count);
    }
    EXPECT_EQ(::pclose(pipe), 0) << command << ": " << output;
    return output;
  }

  std::string Uuid(const fs::path& disk) {
    const std::string all = Output("dumpe2fs -h " + disk.string());
    const size_t begin = all.find("Filesystem UUID:");
    return all.substr(begin, all.find('\n', begin) - begin);
  }

  TempFolder folder_;
  WritableOptions options_;
};

TEST_F(WritableTest, AnEmptySoundFileSystemOfTheSize) {
  const fs::path disk = folder_ / "disk";
  const Status made = CreateWritable(disk, kBytes, options_);
  ASSERT_TRUE(made) << made.error().message;

  struct stat info {};

  ASSERT_EQ(::stat(disk.c_str(), &info), 0);
  EXPECT_EQ(static_cast<uint64_t>(info.st_size), kSlotBytes);
  EXPECT_LT(info.st_blocks * 512, 4 << 20);
  EXPECT_EQ(info.st_mode & 07777U, 0600U);
  Output("e2fsck -fn " + disk.string());
  const std::string groups = Output("dumpe2fs " + disk.string());
  EXPECT_THAT(groups, Not(HasSubstr("has_journal")));
  EXPECT_THAT(groups, HasSubstr("Reserved block count:     0"));
  EXPECT_THAT(groups, HasSubstr("ITABLE_ZEROED"));
  const fs::path mount = folder_ / "mount";
  fs::create_directories(mount);
  Output("mount -o loop " + disk.string() + " " + mount.string());

  struct statfs space {};

  ASSERT_EQ(::statfs(mount.c_str(), &space), 0);
  const uint64_t bytes = uint64_t{space.f_blocks} * static_cast<uint64_t>(space.f_bsize);
  EXPECT_GT(bytes, kBytes * 97 / 100);
  EXPECT_LE(bytes, kBytes);
  EXPECT_LE(space.f_bfree - space.f_bavail, 4096U);  // the kernel's own, whatever mkfs reserves
  std::ofstream(mount / "file") << std::string(5'000'000, 'x');
  ASSERT_EQ(::umount(mount.c_str()), 0);
  Output("e2fsck -fn " + disk.string());
}

TEST_F(WritableTest, TheTemplateIsMadeOnceAndDisksDifferInTheirUuid) {
  for (const char* name : {"a", "b"}) {
    ASSERT_TRUE(CreateWritable(folder_ / name, kBytes, options_));
  }
  EXPECT_NE(Uuid(folder_ / "a"), Uuid(folder_ / "b"));
  // Without mkfs: from the template.
  options_.mkfs_ext4 = "/no/such/mkfs";
  EXPECT_TRUE(CreateWritable(folder_ / "c", kBytes, options_));
  const Status other_size = CreateWritable(folder_ / "d", kBytes / 2, options_);
  ASSERT_FALSE(other_size);
  EXPECT_THAT(other_size.error().message, HasSubstr((folder_ / "d").string()));
  EXPECT_FALSE(fs::exists(folder_ / "d"));
}

TEST_F(WritableTest, ADamagedTemplateIsMadeAgain) {
  ASSERT_TRUE(CreateWritable(folder_ / "a", kBytes, options_));
  for (const auto& entry : fs::directory_iterator(options_.template_folder)) {
    if (entry.path().extension() == ".img") {
      std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
      file.seekp(4096);
      file << "damage";
    }
  }
  ASSERT_TRUE(CreateWritable(folder_ / "b", kBytes, options_));
  Output("e2fsck -fn " + (folder_ / "b").string());
}

TEST_F(WritableTest, ManyAtOnce) {
  std::vector<std::future<bool>> made;
  for (int i = 0; i < 8; ++i) {
    made.push_back(std::async(std::launch::async, [this, i] {
      return CreateWritable(folder_ / std::to_string(i), kBytes, options_).has_value();
    }));
  }
  for (auto& one : made) {
    EXPECT_TRUE(one.get());
  }
  EXPECT_EQ(std::distance(fs::directory_iterator(options_.template_folder), {}), 3);
}

TEST_F(WritableTest, RefusesWhatItCannotMake) {
  ASSERT_TRUE(WriteFileAtomic(folder_ / "there", "kept", 0600));
  const Status there = CreateWritable(folder_ / "there", kBytes, options_);
  ASSERT_FALSE(there);
  EXPECT_EQ(there.error().code, Code::kAlreadyExists);
  EXPECT_EQ(*ReadFile(folder_ / "there"), "kept");
  for (const uint64_t bytes : {uint64_t{0}, uint64_t{1} << 20, kSlotBytes + 4096}) {
    const Status size = CreateWritable(folder_ / "x", bytes, options_);
    ASSERT_FALSE(size);
    EXPECT_EQ(size.error().code, Code::kInvalidArgument);
  }
  fs::create_directories(folder_ / "small");
  ASSERT_EQ(::mount("t", (folder_ / "small").c_str(), "tmpfs", 0, "size=64k"), 0);
  const Status full = CreateWritable(folder_ / "small/disk", kBytes, options_);
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code, Code::kResourceExhausted) << full.error().message;
  EXPECT_FALSE(fs::exists(folder_ / "small/disk"));
  ::umount2((folder_ / "small").c_str(), MNT_DETACH);
}

}  // namespace
}  // namespace farlet::disk
