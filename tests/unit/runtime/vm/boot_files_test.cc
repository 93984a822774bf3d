#include "runtime/vm/boot_files.h"

#include "runtime/base/sha256.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace farlet::vm {
namespace {

namespace fs = std::filesystem;

std::string SumOf(const std::string& content) {
  Sha256 digest;
  digest.Update(content);
  return digest.FinishHex();
}

class BootFilesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "farlet-boot-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    fs::create_directory(folder_ / "v1");
    fs::create_symlink("v1", folder_ / "vm");
    Write("vmlinux", "kernel");
    Write("initramfs.cpio", "files");
    Write("SHA256SUMS",
          fmt::format("{}  vmlinux\n{}  initramfs.cpio\n", SumOf("kernel"), SumOf("files")));
    config_.kernel = folder_ / "vm" / "vmlinux";
    config_.initramfs = folder_ / "vm" / "initramfs.cpio";
  }

  void TearDown() override { fs::remove_all(folder_); }

  void Write(const std::string& name, const std::string& content) {
    std::ofstream(folder_ / "v1" / name) << content;
  }

  fs::path folder_;
  HostConfig config_;
};

TEST_F(BootFilesTest, FindsAndVerifies) {
  const auto files = FindBootFiles(config_);
  ASSERT_TRUE(files) << files.error().message;
  EXPECT_EQ(files->kernel, fs::canonical(folder_) / "v1" / "vmlinux") << "the link is resolved";
  EXPECT_EQ(files->kernel_sha256, SumOf("kernel"));
  EXPECT_EQ(files->initramfs_sha256, SumOf("files"));
  EXPECT_TRUE(VerifyBootFiles(*files));
}

TEST_F(BootFilesTest, CorruptFileIsNamed) {
  Write("initramfs.cpio", "filez");
  const auto files = FindBootFiles(config_);
  ASSERT_TRUE(files);
  const Status status = VerifyBootFiles(*files);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::kDataLoss);
  EXPECT_NE(status.error().message.find("initramfs.cpio: differs"), std::string::npos);
}

TEST_F(BootFilesTest, MissingPartsAreNamed) {
  const std::string sum = SumOf("kernel");
  const std::pair<std::string, std::string> cases[] = {
      {"", "has no checksum of vmlinux"},
      {"nonsense\n\n", "has no checksum of vmlinux"},
      {sum + "  vmlinux.old\n", "has no checksum of vmlinux"},
      {std::string(64, 'g') + "  vmlinux\n", "has no checksum of vmlinux"},
      {sum + "  vmlinux\n", "has no checksum of initramfs.cpio"},
  };
  for (const auto& [sums, message] : cases) {
    Write("SHA256SUMS", sums);
    const auto files = FindBootFiles(config_);
    ASSERT_FALSE(files) << sums;
    EXPECT_EQ(files.error().code, Code::kFailedPrecondition);
    EXPECT_NE(files.error().message.find(message), std::string::npos) << files.error().message;
  }
  fs::remove(folder_ / "v1" / "SHA256SUMS");
  EXPECT_NE(FindBootFiles(config_).error().message.find("SHA256SUMS"), std::string::npos);
  fs::remove(folder_ / "v1" / "vmlinux");
  EXPECT_NE(FindBootFiles(config_).error().message.find("the guest's kernel"), std::string::npos);
}

TEST_F(BootFilesTest, Fingerprint) {
  Write("qemu", "one");
  const fs::path program = folder_ / "v1" / "qemu";
  EXPECT_NE(FingerprintOf(program).error().message.find("not an executable"), std::string::npos);
  fs::permissions(program, fs::perms::owner_all);
  const auto before = FingerprintOf(program);
  ASSERT_TRUE(before);
  EXPECT_EQ(*before, *FingerprintOf(program));
  Write("qemu", "three");
  EXPECT_NE(*before, *FingerprintOf(program));
  const auto missing = FingerprintOf("/nonexistent/qemu");
  EXPECT_EQ(missing.error().code, Code::kFailedPrecondition);
  EXPECT_NE(missing.error().message.find("/nonexistent/qemu"), std::string::npos);
}

}  // namespace
}  // namespace farlet::vm
