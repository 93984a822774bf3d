#include "runtime/base/file.h"

#include <gtest/gtest.h>

#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <string>

namespace farlet {
namespace {

class FileTest : public ::testing::Test {
 protected:
  FileTest() {
    std::string folder = (std::filesystem::temp_directory_path() / "file_test-XXXXXX").string();
    EXPECT_NE(mkdtemp(folder.data()), nullptr);
    folder_ = folder;
  }

  ~FileTest() override { std::filesystem::remove_all(folder_); }

  static mode_t ModeOf(const std::filesystem::path& path) {
    struct stat info {};

    EXPECT_EQ(::stat(path.c_str(), &info), 0);
    return info.st_mode & 07777;
  }

  int FilesInFolder() const {
    return static_cast<int>(std::distance(std::filesystem::directory_iterator(folder_), {}));
  }

  std::filesystem::path folder_;
};

TEST_F(FileTest, ReadsWhatWasWritten) {
  const std::string content("a\0b\nc", 5);
  EXPECT_TRUE(WriteFileAtomic(folder_ / "x", content, 0640));
  EXPECT_EQ(*ReadFile(folder_ / "x"), content);
  EXPECT_EQ(ModeOf(folder_ / "x"), 0640U);
  EXPECT_TRUE(WriteFileAtomic(folder_ / "x", "", 0600));
  EXPECT_EQ(*ReadFile(folder_ / "x"), "");
  EXPECT_EQ(ModeOf(folder_ / "x"), 0600U);
  EXPECT_EQ(FilesInFolder(), 1);
}

TEST_F(FileTest, BoundsWhatItReads) {
  ASSERT_TRUE(WriteFileAtomic(folder_ / "x", std::string(1000, 'x'), 0600));
  EXPECT_TRUE(ReadFile(folder_ / "x", 1000));
  const auto large = ReadFile(folder_ / "x", 999);
  ASSERT_FALSE(large);
  EXPECT_EQ(large.error().code, Code::kResourceExhausted);
  EXPECT_NE(large.error().message.find((folder_ / "x").string()), std::string::npos);
}

TEST_F(FileTest, NamesWhatIsMissing) {
  const auto missing = ReadFile(folder_ / "missing");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Code::kNotFound);
  EXPECT_EQ(missing.error().message,
            "open " + (folder_ / "missing").string() + ": No such file or directory");
  EXPECT_FALSE(WriteFileAtomic(folder_ / "no" / "such", "x", 0600));
}

TEST_F(FileTest, AFailedWriteLeavesNothingBehind) {
  std::filesystem::create_directories(folder_ / "taken" / "by a folder");
  EXPECT_FALSE(WriteFileAtomic(folder_ / "taken", "x", 0600));
  EXPECT_EQ(FilesInFolder(), 1);
}

TEST_F(FileTest, WritesIntoFilesOfTheKernel) {
  EXPECT_TRUE(WriteKernelFile("/proc/self/comm", "renamed"));
  EXPECT_EQ(ReadFile("/proc/self/comm").value(), "renamed\n");
  const auto refused = WriteKernelFile("/proc/self/oom_score_adj", "much");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message,
            "write \"much\" to /proc/self/oom_score_adj: Invalid argument");
  EXPECT_FALSE(WriteKernelFile(folder_ / "missing", "x"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "missing"));
}

TEST_F(FileTest, MakesFoldersWithTheirMode) {
  const mode_t before = ::umask(077);
  EXPECT_TRUE(MakeDirectories(folder_ / "a" / "b", 0755));
  ::umask(before);
  EXPECT_EQ(ModeOf(folder_ / "a" / "b"), 0755U);
  EXPECT_TRUE(MakeDirectories(folder_ / "a" / "b", 0700));  // there already: left as it is
  EXPECT_EQ(ModeOf(folder_ / "a" / "b"), 0755U);
  ASSERT_TRUE(WriteFileAtomic(folder_ / "file", "", 0600));
  EXPECT_FALSE(MakeDirectories(folder_ / "file" / "x", 0700));
}

}  // namespace
}  // namespace farlet
